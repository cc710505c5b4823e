"""Keeps rotated files readable while a lane is behind, and lets go of them once every lane is past.

Looks a few times a second at the streams that left their live path. What is still needed after a moment is held
(``agent.streams.hold``), within ``hold.max_bytes`` and the disk's room. A file that still stands under its rotated name
waits when there is no room; one that has no name any more is readable only for as long as this process has it open, so
for its sake the oldest holds are given up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.app.make_room import make_room
from agent.app.need import Need, stands
from agent.app.read_through import read_through
from agent.app.ticks import tick
from agent.streams.content import Compressed, Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.sources.feed import Feed
    from agent.sources.file import FileSource
    from agent.stats import AgentStats
    from agent.streams.hold import Holds
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

AFTER_SECONDS = 2.0
"""A lane that is behind for a moment after a rotation is no reason to copy a file."""
AGAIN_SECONDS = 5.0
"""How long a file with a name that grew, found no room, or could not be copied waits for the next try."""
LOOK_SECONDS = 1.0
QUIET_SECONDS = 60.0
"""A removed file that was not written for this long is read from its copy, which frees its place on the disk."""


class Keeper:
    """Holds what lanes still need of files that were rotated away."""

    def __init__(
        self,
        feeds: Callable[[], Sequence[Feed]],
        *,
        stats: AgentStats,
        replacing: Callable[[], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``feeds`` gives the feeds of the lanes that run now; ``replacing`` tells that some are away for a moment."""
        self._now = now
        self._feeds = feeds
        self._stats = stats
        self._replacing = replacing
        self._looking = anyio.Lock(fast_acquire=True)
        self._running: anyio.CancelScope | None = None
        self._since: dict[str, dict[str, float]] = {}
        """Source → stream → when it was first seen to be needed and away from its live path."""
        self._tried: dict[str, float] = {}
        self._said: dict[str, str] = {}
        """Stream → the trouble that was logged of it."""
        self._unread: set[str] = set()
        """Compressed members of which it is known that there is more to read."""
        self._full: set[str] = set()
        """Sources of which a file waits for room."""

    async def run(self, sources: Mapping[str, FileSource]) -> None:
        """Look until cancelled, or until the last look."""
        with anyio.CancelScope() as self._running:
            while True:
                await tick(calm=not any(feed.is_behind for feed in self._feeds()))
                await self.look(sources)

    async def look(self, sources: Mapping[str, FileSource]) -> None:
        """Hold what is needed, let go of what is not; nothing while lanes are being replaced."""
        async with self._looking:
            if not self._replacing():
                await self._look(sources, last=False)

    async def last_look(self, sources: Mapping[str, FileSource]) -> None:
        """Hold, before the files are closed, what has no name any more: it would be gone with this process."""
        if self._running is not None:
            self._running.cancel()
        async with self._looking:
            for source in sources.values():
                streams = (stream for feed in self._feeds() for stream in feed.unsettled(source))
                if any(stream.path and stream.content is not None and not stands(stream) for stream in streams):
                    await source.look_again(self._stats)
            await self._look(sources, last=True)

    async def _look(self, sources: Mapping[str, FileSource], *, last: bool) -> None:
        feeds = self._feeds()
        if not feeds:
            return  # no lane at all: someone may want it later
        for source in list(sources.values()):
            for stream in source.catalog.register.unplaced(time.time()):
                if all(feed.is_past(stream) for feed in feeds):
                    source.settled_everywhere(stream)
            holds = source.catalog.holds
            if holds is None or not source.scanned.is_set():
                continue
            needs = self._needs(source, feeds)
            if held := holds.ids():
                for name in held:
                    if name not in needs:
                        holds.release(name)
                make_room(source, holds, needs, 0)  # a link takes room once the other name is gone
            await self._hold(source, holds, needs, last=last)

    def _needs(self, source: FileSource, feeds: Sequence[Feed]) -> dict[str, Need]:
        before, now = self._since.get(source.name, {}), self._now()
        needs: dict[str, Need] = {}
        for feed in feeds:
            for stream, position in feed.behind_away(source):
                start = min(position, needs[stream.id].start) if stream.id in needs else position
                needs[stream.id] = Need(stream=stream, start=start, since=before.get(stream.id, now))
        self._since[source.name] = {name: need.since for name, need in needs.items()}
        for name in before.keys() - needs.keys():
            self._tried.pop(name, None)
            self._said.pop(name, None)
            self._unread.discard(name)
        for name in needs.keys() - before.keys():
            source.catalog.register.open(needs[name].stream)  # so that a removal costs nothing meanwhile
        return needs

    async def _hold(self, source: FileSource, holds: Holds, needs: Mapping[str, Need], *, last: bool) -> None:
        """Hold what is needed, the most urgent first; what takes long leaves the rest to the next look."""
        waiting, began = False, self._now()
        for need in sorted(needs.values(), key=lambda each: each.urgency):
            now = self._now()
            if need.is_met(holds):
                continue
            if not last and (now - began > LOOK_SECONDS or not self._is_due(need, now)):
                waiting = waiting or source.name in self._full
                continue
            self._tried[need.stream.id] = now
            try:
                waiting = not await self._keep(source, holds, needs, need, last=last) or waiting
            except OSError as error:
                self._trouble(source, need, error.strerror or str(error))
        if not waiting:
            self._full.discard(source.name)

    def _is_due(self, need: Need, now: float) -> bool:
        """Tell whether to try now: after a moment, and again only after a while, unless a removed file grew."""
        if now - need.since < AFTER_SECONDS:
            return False
        name = need.stream.id
        calm = need.stream.path is None and name not in self._said
        return calm or now - self._tried.get(name, -AGAIN_SECONDS) >= AGAIN_SECONDS

    async def _keep(
        self, source: FileSource, holds: Holds, needs: Mapping[str, Need], need: Need, *, last: bool
    ) -> bool:
        """Hold one stream, or bring its copy up to date; False when it has to wait for room."""
        stream, catalog = need.stream, source.catalog
        if last and stream.path is not None and stream.content is None:
            return True
        content = catalog.register.open(stream)
        if not isinstance(content, Plain | Compressed):
            return True  # nowhere, or read from its copy
        named = stream.path is not None and content.stat().st_nlink > 0
        if (named and last) or not catalog.verify(stream, content):
            return True
        if named and isinstance(content, Compressed) and await self._needs_no_copy(holds, need):
            return True
        quiet = time.time() - content.stat().st_mtime >= QUIET_SECONDS
        missing = holds.missing(stream, content, need.start)
        if missing > holds.room():
            if named:
                self._wait(source, holds, stream, missing)
                return False
            make_room(source, holds, needs, missing, sparing=stream.id)
        most = min(missing, max(0, holds.room()))
        if most:
            await holds.copy(stream, content, need.start, most=most)
        if most < missing:
            self._trouble(source, need, "no room, by hold.max_bytes or on the disk, for all of it")
        else:
            self._said.pop(stream.id, None)
            if quiet and not named:
                catalog.handles.close(stream)
        return True

    async def _needs_no_copy(self, holds: Holds, need: Need) -> bool:
        """Link a compressed member where that may be, unless no lane needs anything of it any more."""
        stream = need.stream
        if (hold := holds.get(stream.id)) and hold.compressed:
            return hold.linked
        if not stream.complete and 0 < stream.size <= need.start and stream.id not in self._unread:
            # All that was known of it is settled; after a restart, only reading it tells whether that is all.
            if (length := await read_through(stream, need.start)) is not None:
                stream.size, stream.complete = length, True
                for feed in self._feeds():
                    feed.mark_settled({stream.id: feed.settled.get(stream.id, 0)})
                return True
            self._unread.add(stream.id)
        return holds.link(stream)

    def _wait(self, source: FileSource, holds: Holds, stream: Stream, missing: int) -> None:
        if source.name in self._full:
            return
        self._full.add(source.name)
        log.warning(
            "hold_waits",
            source=source.name,
            path=stream.path,
            stream=stream.id,
            bytes=missing,
            reason="hold.max_bytes" if holds.bytes() + missing > holds.max_bytes else "the disk of agent.state_dir",
        )

    def _trouble(self, source: FileSource, need: Need, error: str) -> None:
        stream = need.stream
        if self._said.get(stream.id) == error:
            return
        self._said[stream.id] = error
        log.error(
            "hold_failed",
            source=source.name,
            path=stream.last_path,
            stream=stream.id,
            first_byte=need.start,
            end_byte=stream.size,
            error=error,
        )
