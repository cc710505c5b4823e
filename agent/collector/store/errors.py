"""What the store raises."""

from __future__ import annotations


class StoreError(Exception):
    """The database could not be used; nothing was stored. It may be tried again."""


class BusyError(Exception):
    """More queries wait than may."""
