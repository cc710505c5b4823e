"""Keeps rotated files readable while a lane is behind, and lets go of them once every lane is past."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.streams.content import Compressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.sources.feed import Feed
    from agent.sources.file import FileSource
    from agent.streams.hold import Holds
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

KEEP_SECONDS = 0.2


class Keeper:
    """Looks a few times a second at streams that left their live path."""

    def __init__(self, feeds: Callable[[], Iterable[Feed]]) -> None:
        """``feeds`` gives the feeds of the lanes that run now."""
        self._feeds = feeds
        self._failed: dict[str, str] = {}

    async def run(self, sources: Mapping[str, FileSource]) -> None:
        """Look until cancelled, and once more then: what is only open here is gone when the process ends."""
        try:
            while True:
                await anyio.sleep(KEEP_SECONDS)
                await self._look(sources)
        finally:
            with anyio.CancelScope(shield=True):
                await self._look(sources)

    async def _look(self, sources: Mapping[str, FileSource]) -> None:
        for source in list(sources.values()):
            now = time.time()
            for stream in source.catalog.register.unplaced(now):
                if all(feed.is_past(stream) for feed in self._feeds()):
                    source.settled_everywhere(stream)
            if source.catalog.holds is not None and source.scanned.is_set():
                await self._hold(source, source.catalog.holds)

    async def _hold(self, source: FileSource, holds: Holds) -> None:
        needed: dict[str, tuple[Stream, int]] = {}
        for feed in self._feeds():
            for stream, position in feed.behind_away(source):
                known = needed.get(stream.id)
                needed[stream.id] = (stream, position if known is None else min(known[1], position))
        for name in holds.ids():
            if name not in needed:
                holds.release(name)
        for stream, position in needed.values():
            try:
                await self._keep(source, holds, stream, position)
            except OSError as error:
                self._trouble(source, stream, error)
        self._make_room(source, holds, needed)

    async def _keep(self, source: FileSource, holds: Holds, stream: Stream, position: int) -> None:
        if not holds.needs_copy(stream, position):
            return
        content = source.catalog.register.open(stream)
        if content is None:
            return
        if isinstance(content, Compressed):
            holds.copy(stream, content, position)  # it keeps its place, so it cannot be shared with a thread
        else:
            await anyio.to_thread.run_sync(holds.copy, stream, content, position)
        self._failed.pop(stream.id, None)

    def _trouble(self, source: FileSource, stream: Stream, error: OSError) -> None:
        if self._failed.get(stream.id) != str(error):
            self._failed[stream.id] = str(error)
            log.error("hold_failed", source=source.name, path=stream.last_path, stream=stream.id, error=error.strerror)

    @staticmethod
    def _make_room(source: FileSource, holds: Holds, needed: Mapping[str, tuple[Stream, int]]) -> None:
        """Release the streams held longest while the holds take more than they may; their lanes report the loss."""
        while (name := holds.over_bound()) is not None:
            holds.release(name)
            if name in needed:
                stream, position = needed[name]
                source.catalog.handles.close(stream)
                source.catalog.register.give_up(stream)
                log.error(
                    "hold_released",
                    source=source.name,
                    path=stream.last_path,
                    stream=stream.id,
                    first_byte=position,
                    end_byte=stream.size,
                    reason="hold.max_bytes",
                )
