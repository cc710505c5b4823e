"""Breaks one promise at a time and shows that a test notices."""
