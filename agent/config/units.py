"""Sizes and durations as people write them, and back. Pure.

``1MiB``, ``1.5 GB`` and ``4096`` are sizes in bytes; ``20ms``, ``1h30m`` and ``2.5`` durations in seconds.
"""

from __future__ import annotations

import re
from fractions import Fraction

_BYTES = {
    "": 1,
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}

ALLOWED_SIZES = "a size such as 4096, 512KiB or 1.5GB (units kB MB GB TB KiB MiB GiB TiB)"
ALLOWED_DURATIONS = "a duration such as 30, 20ms or 1h30m (units ms s m h d)"

# At most 18 digits: more is no quantity anybody means, and reading long digit strings is quadratic.
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{1,18})?"
_SIZE = re.compile(rf"({_NUMBER})\s?([A-Za-z]*)", re.ASCII)
_PART = re.compile(rf"({_NUMBER})(ms|[smhd])", re.ASCII)


def parse_bytes(text: str) -> int:
    """Return the size ``text`` names, in whole bytes. Raises ``ValueError`` whose text is what is allowed."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2] not in _BYTES:
        raise ValueError(ALLOWED_SIZES)
    size = Fraction(match[1]) * _BYTES[match[2]]
    if size.denominator != 1:
        raise ValueError(f"{ALLOWED_SIZES}, in whole bytes")
    return int(size)


def parse_seconds(text: str) -> float:
    """Return the duration ``text`` names, in seconds. Raises ``ValueError`` whose text is what is allowed.

    Several parts add up, each unit at most once and the larger first: ``1h30m``, ``1m 500ms``.
    """
    text = text.strip()
    if re.fullmatch(_NUMBER, text, re.ASCII):
        return float(Fraction(text))
    total, at, largest = Fraction(0), 0, None
    for match in _PART.finditer(text):
        unit = _SECONDS[match[2]]
        gap = text[at : match.start()]
        if gap.strip() or (largest is not None and unit >= largest):
            raise ValueError(ALLOWED_DURATIONS)
        total, at, largest = total + Fraction(match[1]) * unit, match.end(), unit
    if at == 0 or at != len(text):
        raise ValueError(ALLOWED_DURATIONS)
    return float(total)


def format_bytes(size: int) -> str:
    """Return the shortest exact text of ``size`` bytes: ``parse_bytes`` gives the same number back."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return str(size)


def format_seconds(seconds: float) -> str:
    """Return ``seconds`` with units, to the millisecond: ``90`` is ``1m30s``, ``0.02`` is ``20ms``."""
    left = round(seconds * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, int(_SECONDS[unit] * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
