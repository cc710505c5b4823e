"""The next complete lines of a stream: the unit in which a lane reads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.streams.content import Content

CHUNK_BYTES = 512 << 10
"""What is read in one turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Complete lines, each ended by ``\\n``; or one line that was too long, cut."""

    data: bytes
    end: int
    """Offset after the last byte covered."""
    cut_from: int | None = None
    """Full length in bytes of the one line in ``data`` when it was cut."""


def next_lines(content: Content, start: int, *, most_line: int, final: bool, scanned: int = 0) -> Lines | int | None:
    """Return the complete lines at ``start``, or None when there are none yet.

    ``final`` says that the stream cannot grow: then its partial last line is complete. A line longer than
    ``most_line`` bytes is cut there; while its end has not been written, the offset up to which it was searched is
    returned, to be handed back as ``scanned``.
    """
    data = b"" if scanned else content.read(start, CHUNK_BYTES)
    if not data and not scanned:
        return None
    end = data.rfind(b"\n") + 1
    if end:
        return _within(data[:end], start, most_line)
    if len(data) < CHUNK_BYTES and not scanned:
        if not final:
            return None
        if content.length() is None:
            content.read(start + len(data), 1)  # damage cut the line off: it raises, and half a line is not sent
        return _within(data + b"\n", start, most_line, missing=1)
    return _long(content, start, most_line, final=final, scanned=scanned)


def _within(data: bytes, start: int, most_line: int, *, missing: int = 0) -> Lines:
    """Return the lines of ``data`` up to the first one that is too long, or that one alone, cut."""
    if len(data) <= most_line + 1 or not (found := _longer_than(most_line).search(data)):
        return Lines(data=data, end=start + len(data) - missing)
    at = found.start()
    if at:
        return Lines(data=data[:at], end=start + at)
    length = data.index(b"\n")
    after = length + 1 if length + 1 < len(data) else length + 1 - missing
    return Lines(data=data[:most_line] + b"\n", end=start + after, cut_from=length)


def _long(content: Content, start: int, most_line: int, *, final: bool, scanned: int) -> Lines | int | None:
    """Find the end of a line that is longer than a chunk, without holding more of it than ``most_line`` bytes."""
    at = max(scanned, start)
    while piece := content.read(at, CHUNK_BYTES):
        found = piece.find(b"\n")
        if found >= 0:
            return _cut(content, start, at + found, most_line, ended=1)
        at += len(piece)
    return _cut(content, start, at, most_line, ended=0) if final else at


def _cut(content: Content, start: int, stop: int, most_line: int, *, ended: int) -> Lines:
    length = stop - start
    data = content.read(start, min(length, most_line))
    return Lines(data=data + b"\n", end=stop + ended, cut_from=length if length > most_line else None)


@lru_cache(maxsize=16)
def _longer_than(most_line: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?m:^)[^\n]{%d}" % (most_line + 1))
