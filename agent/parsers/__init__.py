"""Lines → events, pure. One file per format; a new format is one file and one line in ``PARSERS``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.parsers.envelope import Envelopes
from agent.parsers.json_lines import JsonLines
from agent.parsers.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.parsers.base import Common, Parser

PARSERS: Mapping[str, Callable[[Common], Parser]] = {
    "envelope": Envelopes,
    "json": JsonLines,
    "text": Text,
}


def build(name: str, common: Common) -> Parser:
    """Return the parser called ``name``; raises ``KeyError`` for an unknown one."""
    return PARSERS[name](common)
