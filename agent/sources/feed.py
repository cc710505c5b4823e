"""One lane's view of all sources: which block comes next, and how far the lane is behind."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.events import Block
from agent.state.records import CursorRow
from agent.streams.stream import END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.sources.blocks import Nothing
    from agent.sources.file import FileSource
    from agent.state.store import Store
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

LOST_AFTER_SECONDS = 5.0
"""How long the bytes of a stream may be nowhere before they are reported lost: a copy may still turn up."""


class Feed:
    """Reads every stream of every source from the lane's cursors on: round robin, a family's oldest first."""

    def __init__(
        self, lane: str, *, store: Store, one_shot: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        """Recall the lane's cursors. ``attach`` the sources then."""
        self.lane = lane
        self.settled = {c.stream: c.position for c in store.cursors(lane)}
        """Stream → offset up to which the lane's cursor is committed."""
        self._cursors = {c.stream: c for c in store.cursors(lane)}
        self._store = store
        self._one_shot = one_shot
        self._now = now
        self._sources: dict[str, FileSource] = {}
        self._positions: dict[str, int] = {}
        self._home: dict[str, tuple[FileSource, Stream]] = {}
        self._ready: OrderedDict[tuple[str, str], dict[str, Stream]] = OrderedDict()
        self._unsettled: dict[str, Stream] = {}
        self._starting_at_end: set[str] = set()
        self._left_out: dict[str, list[CursorRow]] = {}
        """Source → what the lane skips of it, until that is on disk."""
        self._lost: dict[str, int] = {}
        """Stream → where what this lane lost of it ended."""
        self._rung = anyio.Event()

    def attach(self, source: FileSource) -> None:
        """Read ``source``, too."""
        for cursor in self._cursors.values():
            source.catalog.register.recall_cursor(cursor)
        if source.config.start_at == "end" and not self._store.has_started(self.lane, source.name):
            self._starting_at_end.add(source.name)
        self._sources[source.name] = source
        source.subscribe(self._offered)

    def detach(self, source: FileSource) -> None:
        """Stop reading ``source``; the cursors stay."""
        source.unsubscribe(self._offered)
        del self._sources[source.name]
        for key in [key for key in self._ready if key[0] == source.name]:
            del self._ready[key]
        for stream in [s for s, (home, _stream) in self._home.items() if home is source]:
            del self._home[stream]
            self._unsettled.pop(stream, None)

    def time_field(self, source: str) -> str | None:
        """Return where the events of ``source`` carry their time, as configured."""
        return self._sources[source].config.time_field

    def close(self) -> None:
        """Stop reading every source."""
        for source in list(self._sources.values()):
            self.detach(source)

    def begin(self) -> None:
        """Note that the lane has now started on its sources: what appears from here on is read from its beginning.

        Raises ``sqlite3.Error`` when that cannot be written. Call it again then: what is left out stays what was
        there the first time.
        """
        for source in self._sources.values():
            if self._store.has_started(self.lane, source.name):
                continue
            if source.name not in self._left_out:
                # What another lane has read and was gone before this one existed is not its loss. What nobody has read
                # is, and may come back: a first start that was killed knew of it.
                at_end = source.name in self._starting_at_end
                streams = [s for s in source.catalog.streams.values() if at_end or (s.path is None and s.reached)]
                self._left_out[source.name] = self._skip(source, streams)
                self._starting_at_end.discard(source.name)
            self._store.set_started(self.lane, source.name, self._left_out[source.name])
            del self._left_out[source.name]

    def _skip(self, source: FileSource, streams: Iterable[Stream]) -> list[CursorRow]:
        """Begin ``streams`` at their end; return the cursors that say so."""
        rows = []
        for stream in streams:
            if stream.id in self.settled:
                continue
            position = _line_start(source, stream) if stream.path and stream.complete else END
            mark = source.catalog.mark(stream, position) if position < END else b""
            row = CursorRow(stream=stream.id, position=position, mark_at=position if mark else 0, mark=mark)
            source.catalog.register.recall_cursor(row)
            self._cursors[stream.id] = row
            rows.append(row)
            self.settled[stream.id] = self._positions[stream.id] = position
            self._unsettled.pop(stream.id, None)
        return rows

    def _offered(self, source: FileSource, stream: Stream | None) -> None:
        if stream is not None:
            self._home[stream.id] = (source, stream)
            if not self._past(stream, self.settled.get(stream.id, 0)):
                self._unsettled[stream.id] = stream
            if not self._past(stream, self._position(stream)):
                self._ready.setdefault((source.name, stream.family), {})[stream.id] = stream
        self._rung.set()

    def _position(self, stream: Stream) -> int:
        return self._positions.get(stream.id, self.settled.get(stream.id, 0))

    @staticmethod
    def _past(stream: Stream, position: int) -> bool:
        return position >= END or (stream.complete and position >= stream.size)

    async def next(self) -> Block | None:
        """Return the next block, waiting for one; None when a one-shot run has read everything."""
        while True:
            block = self._take()
            if block is not None:
                await anyio.lowlevel.checkpoint()
                return block
            if self._one_shot and all(s.exhausted for s in self._sources.values()) and not self._ready:
                return None
            self._rung = anyio.Event()
            if not self._readable():
                await self._rung.wait()

    def _readable(self) -> bool:
        return any(self._sources[name].scanned.is_set() for name, _family in self._ready)

    def _take(self) -> Block | None:
        for _ in range(len(self._ready)):
            key, streams = self._ready.popitem(last=False)
            source = self._sources[key[0]]
            if not source.scanned.is_set():
                self._ready[key] = streams  # a copy or a start at the end may still be found out
                continue
            for stream in sorted(streams.values(), key=lambda s: s.order):
                position = self._position(stream)
                found = source.reader.read(stream, position)
                if isinstance(found, Block):
                    self._positions[stream.id] = found.end
                    if self._past(stream, found.end):
                        del streams[stream.id]
                    if streams:
                        self._ready[key] = streams  # at the end: round robin
                    return found
                del streams[stream.id]
                self._nothing(source, stream, position, found)
        return None

    def _nothing(self, source: FileSource, stream: Stream, position: int, found: Nothing) -> None:
        """Handle the end of what a stream holds: a partial line waits, bytes that are gone are reported."""
        if not found.gone:
            if position < stream.size:
                source.catalog.partial[stream.id] = stream
            elif stream.complete:
                source.catalog.partial.pop(stream.id, None)
                self.mark_settled({stream.id: self.settled.get(stream.id, 0)})
            return
        waited = self._now() - (stream.unplaced_at or 0.0)
        known = max(stream.size, stream.known_size)  # another lane may have written it off before
        reported = self._lost.get(stream.id) == known
        if position >= known or reported or (waited < LOST_AFTER_SECONDS and not self._one_shot):
            return
        end = self._lost[stream.id] = source.catalog.register.write_off(stream, position)
        source.stats.lost_bytes += end - position
        log.error(
            "bytes_lost",
            source=source.name,
            destination=self.lane,
            path=stream.last_path,
            stream=stream.id,
            first_byte=position,
            end_byte=end,
            reason="truncated or removed before it was read",
        )
        self.mark_settled({stream.id: self.settled.get(stream.id, 0)})

    # Cursors and lag

    def rows(self, moved: Mapping[str, int]) -> list[CursorRow]:
        """Return the cursor rows for streams whose settled prefix moved."""
        rows = []
        for name, position in moved.items():
            at, mark = 0, b""
            if home := self._home.get(name):
                at, mark = home[0].reader.mark_at(name, position)
            if not mark and (old := self._cursors.get(name)):
                at, mark = old.mark_at, old.mark
            row = CursorRow(stream=name, position=position, mark_at=at, mark=mark)
            self._cursors[name] = row
            rows.append(row)
        return rows

    def streams(self, names: Iterable[str]) -> list[Stream]:
        """Return those of the named streams that are known."""
        return [self._home[name][1] for name in names if name in self._home]

    def mark_settled(self, moved: Mapping[str, int]) -> None:
        """Take note of committed cursors."""
        for name, position in moved.items():
            self.settled[name] = position
            home = self._home.get(name)
            if home and self._past(home[1], position):
                self._unsettled.pop(name, None)

    def is_past(self, stream: Stream) -> bool:
        """Tell whether the lane has settled everything the stream is known to hold."""
        return self._past(stream, self.settled.get(stream.id, 0))

    def forget(self, stream: str) -> None:
        """Know nothing of a stream any more whose file was removed for good, and which the lane is past."""
        for index in (self.settled, self._cursors, self._positions, self._home, self._unsettled, self._lost):
            index.pop(stream, None)
        for key, streams in list(self._ready.items()):
            streams.pop(stream, None)
            if not streams:
                del self._ready[key]

    def behind_away(self, source: FileSource) -> list[tuple[Stream, int]]:
        """Return the unsettled streams of ``source`` that are not at a live path, each with the lane's cursor."""
        return [
            (stream, self.settled.get(name, 0))
            for name, stream in self._unsettled.items()
            if stream.path != stream.family and self._home[name][0] is source
        ]

    @property
    def is_behind(self) -> bool:
        """Whether the lane has anything to settle."""
        return bool(self._unsettled)

    def unsettled(self, source: FileSource) -> list[Stream]:
        """Return the streams of ``source`` of which the lane has not settled everything."""
        return [stream for name, stream in self._unsettled.items() if self._home[name][0] is source]

    def behind(self) -> tuple[int, float | None]:
        """Return the bytes not settled, and when the oldest of them was first seen (unix seconds)."""
        total, oldest = 0, None
        for stream in self._unsettled.values():
            position = self.settled.get(stream.id, 0)
            missing = stream.size - position
            if missing <= 0:
                continue
            total += missing
            seen = stream.first_seen(position)
            if seen is not None and (oldest is None or seen < oldest):
                oldest = seen
        return total, oldest


def _line_start(source: FileSource, stream: Stream) -> int:
    """Return the offset after the last complete line, so that reading begins with a whole one."""
    content = source.catalog.register.open(stream)
    at = stream.size
    while content is not None and at > 0:
        size = min(at, 65536)
        found = content.read(at - size, size).rfind(b"\n")
        if found >= 0:
            return at - size + found + 1
        at -= size
    return 0
