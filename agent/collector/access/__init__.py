"""Who may call, and for what: tokens and users with scopes, each of one organisation."""
