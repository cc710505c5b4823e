"""One generation of one file: an append-only sequence of bytes that survives rename, copy and compression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.state.records import StreamRow

if TYPE_CHECKING:
    import os

    from agent.streams.content import Content

END = 1 << 62
"""A position after everything a stream will ever hold."""

_MASK = (1 << 64) - 1
_SIGHTINGS = 600
_SIGHTING_SECONDS = 1.0


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    """What is known of a stream now. ``path`` is None while no file is known to hold its bytes."""

    id: str
    source: str
    family: str
    head: bytes
    head_bytes: int
    generation: int
    path: str | None
    last_path: str
    device: int
    inode: int
    size: int
    """Bytes known to exist; of a compressed member, the bytes read so far until its end was reached."""
    complete: bool = True
    """False while ``size`` is only a lower bound (a compressed member that was not read to its end)."""
    known_size: int = 0
    """What ``size`` was before bytes were written off as lost."""
    mtime_ns: int = 0
    reached: int = 0
    """The furthest offset any lane has read."""
    mark_at: int = 0
    mark: bytes = b""
    """Hash of the up to 1 KiB before ``mark_at``, the newest offset whose mark is known."""
    copied: dict[int, bytes] = field(default_factory=dict)
    """Length → tail mark at the end of copies of the stream's beginning that were seen."""
    content: Content | None = None
    unplaced_at: float | None = None
    """When ``path`` became None, in unix seconds."""
    sightings: list[tuple[int, float]] = field(default_factory=list)
    """(size, unix seconds) as the stream grew, to tell the age of an undelivered byte."""

    @property
    def order(self) -> tuple[bool, int]:
        """Sort key within a family: oldest first, the live path last."""
        return (self.last_path == self.family, self.mtime_ns)

    def saw(self, size: int, mtime_ns: int, now: float) -> bool:
        """Take note of the file's size and time; tell whether there are more bytes than before."""
        grew = size > self.size
        if grew and (not self.sightings or now - self.sightings[-1][1] >= _SIGHTING_SECONDS):
            self.sightings.append((size, now))
            if len(self.sightings) > _SIGHTINGS:
                del self.sightings[0]
        elif grew:
            self.sightings[-1] = (size, self.sightings[-1][1])
        self.size = size
        self.mtime_ns = mtime_ns
        return grew

    def inode_is(self, status: os.stat_result) -> bool:
        """Tell whether an opened file is the one the stream was found in."""
        return status.st_ino & _MASK == self.inode & _MASK and status.st_dev & _MASK == self.device & _MASK

    def first_seen(self, position: int) -> float | None:
        """Return when a byte beyond ``position`` was first seen, None when that is not known."""
        return next((seen for size, seen in self.sightings if size > position), None)

    def row(self) -> StreamRow:
        """Return what the state keeps of the stream."""
        return StreamRow(
            id=self.id,
            source=self.source,
            family=self.family,
            head=self.head,
            head_bytes=self.head_bytes,
            generation=self.generation,
            path=self.last_path,
            device=self.device,
            inode=self.inode,
            size=self.size,
        )
