"""Everything at once: many writers, every kind of rotation, kills, outages; judged by what was written."""
