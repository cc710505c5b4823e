"""Text without secrets: what may stand in a log line, a status or a health report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK = "***"

_NAMES = r"tokens?|passw(?:or)?ds?|passphrases?|secrets?|authorization|api[_-]?keys?|private[_-]?keys?|cookies?"
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|credentials?)$", re.IGNORECASE)
# The words after "bearer" and "basic" that belong to a sentence and not to a header.
_WORDS = r"auth\w*|tokens?|credentials?|realm|schemes?|and|or|is|was|with|needs?|requires?"
_PATTERNS = (
    (re.compile(rf"\b(bearer|basic)(\s+)(?!(?:{_WORDS})\b)[\w\-.~+/]+=*", re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(r"\b([a-z][a-z0-9+.\-]{0,30}://)[^/?#\s\"'<>]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (re.compile(rf"([\w\-]{{0,64}}(?:{_NAMES}|signature)=)[^&\s\"',;]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"([\"'][\w\-]{{0,64}}(?:{_NAMES})[\"']\s*:\s*[\"'])[^\"']*", re.IGNORECASE), rf"\1{MASK}"),
)
_DEPTH = 6


def mask_text(text: str) -> str:
    """Mask ``Bearer …``, ``Basic …``, the user part of URLs, and ``password=…`` in ``text``."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def mask_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Mask the values of fields named like a secret, and the secrets inside all other strings."""
    return {str(name): MASK if _is_secret(name, value) else _mask(value, _DEPTH) for name, value in fields.items()}


def _is_secret(name: object, value: object) -> bool:
    """Numbers are never masked: ``tokens=3`` is a count."""
    return isinstance(name, str) and not isinstance(value, (int, float, type(None))) and bool(_SECRET_NAME.search(name))


def _mask(value: object, depth: int) -> object:
    if isinstance(value, str):
        return mask_text(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if depth and isinstance(value, dict):
        return {k: MASK if _is_secret(k, v) else _mask(v, depth - 1) for k, v in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_mask(v, depth - 1) for v in value]
    return mask_text(repr(value))
