"""What lanes still need of a file that left its live path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.streams.family import is_compressed
from agent.streams.places import look

if TYPE_CHECKING:
    from agent.streams.hold import Holds
    from agent.streams.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A stream whose bytes from ``start`` on some lane still needs."""

    stream: Stream
    start: int
    since: float
    """When that was first seen, in monotonic seconds."""

    @property
    def urgency(self) -> tuple[bool, bool, tuple[bool, int]]:
        """Sort key: what has no name first, then the oldest; members that may have to be read through at last."""
        return (self.stream.path is not None, is_compressed(self.stream.last_path), self.stream.order)

    def is_met(self, holds: Holds) -> bool:
        """Tell whether all is held that is known of a file with a name."""
        hold, path = holds.get(self.stream.id), self.stream.path
        if hold is None or path is None or hold.compressed != is_compressed(path):
            return False
        if hold.compressed:
            return hold.linked
        return hold.serves(self.start, compressed=False) and hold.end >= self.stream.size


def stands(stream: Stream) -> bool:
    """Tell whether the stream's file is where it was last seen."""
    try:
        found = look(stream.path) if stream.path is not None else None
    except OSError:
        return False
    return found is not None and found.key == (stream.device, stream.inode)
