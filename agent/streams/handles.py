"""The open files of all sources: kept while they are useful, the least recently used closed first."""

from __future__ import annotations

import resource
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.streams.content import Content
    from agent.streams.stream import Stream

MOST_OPEN = 256


class Pool:
    """How many files may be open, whichever source they are of; the sources of a process share one."""

    def __init__(self, *, most: int | None = None) -> None:
        """Keep at most ``most`` files open, as far as closing loses nothing; by default what the process may afford."""
        self._most = most or max(4, min(MOST_OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8))
        self._open: OrderedDict[str, tuple[Handles, Stream]] = OrderedDict()

    def used(self, stream: Stream) -> None:
        """Note that the file of ``stream`` is useful now."""
        self._open.move_to_end(stream.id)

    def add(self, handles: Handles, stream: Stream) -> None:
        """Count an opened file, and close others where it is one too many."""
        self._open[stream.id] = handles, stream
        self._open.move_to_end(stream.id)
        if len(self._open) > self._most:
            self._shrink(self._most, stream)

    def remove(self, stream: Stream) -> None:
        """Count a file no more."""
        self._open.pop(stream.id, None)

    def make_room(self) -> bool:
        """Close half of the files, because the system lets no more be opened; tell whether any could be."""
        before = len(self._open)
        self._shrink(before // 2, None)
        return len(self._open) < before

    def _shrink(self, most: int, spared: Stream | None) -> None:
        for handles, stream in list(self._open.values()):
            if len(self._open) <= most:
                return
            if stream.path is not None and stream is not spared:
                handles.close(stream)


class Handles:
    """Open contents of one source. One whose path is gone is never closed to make room: nothing else has its bytes."""

    def __init__(self, pool: Pool | None = None) -> None:
        """Share ``pool`` with other sources; None: have one alone."""
        self.pool = pool or Pool()
        self._own: dict[str, Stream] = {}

    def __len__(self) -> int:
        """Return how many files are open."""
        return len(self._own)

    def get(self, stream: Stream) -> Content | None:
        """Return the open content of ``stream``, if there is one."""
        if stream.content is not None:
            self.pool.used(stream)
        return stream.content

    def keep(self, stream: Stream, content: Content) -> None:
        """Take over an opened content."""
        stream.content = content
        self._own[stream.id] = stream
        self.pool.add(self, stream)

    def close(self, stream: Stream) -> None:
        """Close the stream's file if it is open."""
        if stream.content is not None:
            stream.content.close()
            stream.content = None
            self._own.pop(stream.id, None)
            self.pool.remove(stream)

    def close_all(self) -> None:
        """Close every file of this source."""
        for stream in list(self._own.values()):
            self.close(stream)
