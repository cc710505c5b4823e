"""The open files of a source: kept while they are useful, the least recently used closed first."""

from __future__ import annotations

import resource
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.streams.content import Content
    from agent.streams.stream import Stream

MOST_OPEN = 256


class Handles:
    """Open contents by stream. One whose path is gone is never closed to make room: nothing else holds its bytes."""

    def __init__(self, *, most: int | None = None) -> None:
        """Keep at most ``most`` files open, as far as closing loses nothing; by default what the process may afford."""
        self._most = most or max(4, min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8))
        self._open: OrderedDict[str, Stream] = OrderedDict()

    def __len__(self) -> int:
        """Return how many files are open."""
        return len(self._open)

    def get(self, stream: Stream) -> Content | None:
        """Return the open content of ``stream``, if there is one."""
        if stream.content is not None:
            self._open.move_to_end(stream.id)
        return stream.content

    def keep(self, stream: Stream, content: Content) -> None:
        """Take over an opened content."""
        stream.content = content
        self._open[stream.id] = stream
        while len(self._open) > self._most:
            spare = (other for other in self._open.values() if other.path is not None and other is not stream)
            oldest = next(spare, None)
            if oldest is None:
                break
            self.close(oldest)

    def close(self, stream: Stream) -> None:
        """Close the stream's file if it is open."""
        if stream.content is not None:
            stream.content.close()
            stream.content = None
            self._open.pop(stream.id, None)

    def close_all(self) -> None:
        """Close every file."""
        for stream in list(self._open.values()):
            self.close(stream)
