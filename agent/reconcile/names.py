"""Ids of events taken apart: ``<stream>.<offset in hex>``. Pure."""

from __future__ import annotations

import re

_MADE = re.compile(r"([0-9a-f]{32})\.(0|[1-9a-f][0-9a-f]{0,15})")


def split(unique_id: str) -> tuple[str, int] | None:
    """Return stream and offset of an id that an agent has made; None for an id of any other form."""
    found = _MADE.fullmatch(unique_id)
    return (found[1], int(found[2], 16)) if found else None
