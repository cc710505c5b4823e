"""Frees the spools of what every lane is past, once the disk knows that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.app.ticks import tick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.sources.base import Source
    from agent.sources.feed import Feed
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)


class Sweeper:
    """Removes segments of spools, never before the cursors behind them are durable.

    Else a power failure could bring back older cursors, and what they miss would be taken for lost.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        feeds: Callable[[], Sequence[Feed] | None],
        *,
        make_durable: Callable[[], None],
    ) -> None:
        """``feeds`` gives those of all lanes, None while some of them are being replaced.

        A lane that is away for a moment has not given up what it did not read. With no lane at all everything stays:
        someone may want it later. ``make_durable`` puts all committed cursors on disk; it is called on a thread, and
        may raise ``OSError``.
        """
        self._sources = sources
        self._feeds = feeds
        self._make_durable = make_durable
        self._durable: dict[str, int] = {}
        """Stream → its size when the cursors at its end became durable."""
        self._failed = False

    async def run(self) -> None:
        """Sweep a few times a second until cancelled."""
        while True:
            await tick(calm=not self._durable)
            await self.sweep()

    async def sweep(self) -> None:
        """Remove what every lane is past."""
        due = self._due()
        if any(self._durable.get(name) != size for name, size in due.items()):
            try:
                await anyio.to_thread.run_sync(self._make_durable)
            except OSError as error:
                if not self._failed:
                    log.error("spool_segment_stays", error=error.strerror, reason="cursors cannot be made durable")
                self._failed = True
                return
        self._failed = False
        self._durable = due
        there = self._feeds()  # looked at again: while the disk worked, a lane may have come
        if not due or not there:
            return

        def may_go(stream: Stream) -> bool:
            return due.get(stream.id) == stream.size and all(feed.is_past(stream) for feed in there)

        for source in list(self._sources.values()):
            for gone in source.sweep(may_go):
                self._durable.pop(gone, None)
                for feed in there:
                    feed.forget(gone)

    def _due(self) -> dict[str, int]:
        """Return the streams that every lane is past, with their sizes."""
        found: dict[str, int] = {}
        there = self._feeds()
        if not there:
            return found

        def note(stream: Stream) -> bool:
            if all(feed.is_past(stream) for feed in there):
                found[stream.id] = stream.size
            return False

        for source in list(self._sources.values()):
            if source.lines.scanned.is_set():
                source.sweep(note)
        return found
