"""Files that hold the same bytes as a stream: copytruncate's copies, compressed members beside their original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from agent.state.records import CopyRow
from agent.streams.places import has_head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.state.store import Store
    from agent.streams.looks import Looks
    from agent.streams.places import Place
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)


class Copies:
    """The copies one source has seen, remembered in the state so that they are not examined at every start."""

    def __init__(self, *, source: str, store: Store, streams: Mapping[str, Stream], looks: Looks) -> None:
        """Recall them, and tell ``streams`` where copies of theirs ended."""
        self._source = source
        self._store = store
        self._looks = looks
        self._by_path = {row.path: row for row in store.copies(source)}
        self._by_file = {_seen(row): row for row in self._by_path.values()}
        for row in self._by_path.values():
            if row.stream in streams:
                streams[row.stream].copied[row.length] = row.mark

    def holds(self, place: Place, streams: Mapping[str, Stream]) -> bool:
        """Tell whether the file is a copy noted before, under whatever name: copies are rotated, too."""
        row = self._by_file.get(_seen(place))
        stream = streams.get(row.stream) if row else None
        if row is None or stream is None:
            return False
        # The copy becomes the place to read from once the original is gone.
        return stream.path is not None or row.length < stream.reached

    def held(self, stream: Stream, place: Place, first: bytes) -> bool:
        """Tell whether the file is the beginning of ``stream`` as a copy had it that is not there any more.

        Between copying and truncating more is written and read; such a copy ends before the tail mark, and once it is
        compressed nothing but its own end tells what it is.
        """
        if not stream.copied or not has_head(stream, first):
            return False
        length, mark = self._looks.end_mark(place)
        return length <= stream.reached and stream.copied.get(length) == mark

    def note(self, stream: Stream, place: Place) -> None:
        """Remember that the file at ``place`` holds a copy of ``stream``."""
        length, mark = self._looks.end_mark(place)
        row = CopyRow(
            source=self._source,
            path=place.path,
            device=place.device,
            inode=place.inode,
            size=place.size,
            mtime_ns=place.mtime_ns,
            stream=stream.id,
            length=length,
            mark=mark,
        )
        if (old := self._by_path.get(place.path)) is not None:
            self._by_file.pop(_seen(old), None)
        self._by_path[place.path] = self._by_file[_seen(place)] = row
        stream.copied[length] = mark
        self._store.put_copy(row)
        log.debug("copy_recognised", source=self._source, path=place.path, stream=stream.id)


def _seen(file: Place | CopyRow) -> tuple[int, int, int, int]:
    return (file.device, file.inode, file.size, file.mtime_ns)
