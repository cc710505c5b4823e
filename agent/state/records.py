"""The rows of state.db as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """One generation of one file, as it was when it was last looked at."""

    id: str
    source: str
    family: str
    head: bytes
    head_bytes: int
    generation: int
    path: str
    device: int
    inode: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRow:
    """A file that holds the same bytes as a stream, and what it looked like when that was found out."""

    source: str
    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    stream: str
    length: int
    """Bytes of the stream that the copy holds."""
    mark: bytes
    """Hash of the up to 1 KiB before ``length``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorRow:
    """How far one lane has settled one stream."""

    stream: str
    position: int
    mark_at: int
    """The newest offset, at most ``position``, whose tail mark is known."""
    mark: bytes
