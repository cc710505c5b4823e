"""Sources: which streams there are and how their lines become events. One file per source type."""
