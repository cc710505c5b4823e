"""A lane in a running agent: built from its configuration, started, stopped within a grace."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.app.dry_run import DryRun
from agent.app.window import InWindow
from agent.config.model import HeldPlace
from agent.destinations import build
from agent.filters import EventFilter
from agent.lane.lane import Lane
from agent.sources.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app.options import Options
    from agent.config.model import DestinationConfig
    from agent.destinations.base import Destination
    from agent.filters import AgentIdentity
    from agent.lane.acks import Acks
    from agent.lane.rejects import Rejects
    from agent.state.store import Store
    from agent.stats import LaneStats

log = structlog.get_logger(__name__)

_AGAIN_SECONDS = 1.0


class RunningLane:
    """One destination's lane with its feed. A destination that cannot be built is reported and harms no other."""

    def __init__(
        self,
        config: DestinationConfig,
        *,
        identity: AgentIdentity,
        store: Store,
        rejects: Rejects,
        stats: LaneStats,
        options: Options,
    ) -> None:
        """Build the destination; no I/O but reading the lane's cursors."""
        self.config = config
        self.stats = stats
        self.finished = anyio.Event()
        self.feed = Feed(options.cursor_prefix + config.name, store=store, one_shot=options.one_shot)
        self._options = options
        self._stop = anyio.Event()
        self._grace_seconds = 0.0
        self._begun = anyio.Event()
        self._destination = self._build()
        event_filter = EventFilter(config, identity)
        for problem in event_filter.problems:
            log.error("filter_misconfigured", destination=config.name, problem=problem)
            stats.last_error = problem
        feed = InWindow(self.feed, options.window) if options.window else self.feed
        self.lane = (
            Lane(
                config,
                destination=self._destination,
                event_filter=event_filter,
                feed=feed,
                rejects=rejects,
                stats=stats,
                settled=partial(store.settle, self.feed.lane),
            )
            if self._destination
            else None
        )

    @property
    def acks(self) -> Acks | _Still:
        """What the lane has settled."""
        return self.lane.acks if self.lane else _Still()

    def _build(self) -> Destination | None:
        if self._options.dry_run:
            return DryRun()
        try:
            return build(self.config)
        except ValueError as error:
            self.stats.state = "degraded"
            self.stats.last_error = str(error)
            if not isinstance(self.config, HeldPlace):  # of one that only keeps its place all is said already
                log.error("destination_misconfigured", destination=self.config.name, error=str(error))
            return None

    def begin(self) -> None:
        """Start reading: every source was looked at once. Raises ``sqlite3.Error`` when the state cannot say so."""
        self.feed.begin()
        self._begun.set()

    async def begin_later(self, trouble: Callable[[sqlite3.Error], None]) -> None:
        """Try to start reading until the state takes it, or the lane is over."""
        while not self.finished.is_set():
            await anyio.sleep(_AGAIN_SECONDS)
            try:
                self.begin()
            except sqlite3.Error as error:
                trouble(error)
            else:
                return

    async def run(self) -> None:
        """Deliver until stopped, or until a one-shot feed is at its end."""
        try:
            if self.lane is None or self._destination is None:
                if not self._options.one_shot:
                    await self._stop.wait()
                return
            await self._begun.wait()
            async with anyio.create_task_group() as group:
                if self._options.one_shot:
                    group.start_soon(self._give_up)
                await self.lane.run(self._stop, grace_seconds=lambda: self._grace_seconds)
                group.cancel_scope.cancel()
        finally:
            if self._destination is not None:
                with anyio.CancelScope(shield=True):
                    await self._destination.aclose()
            self.finished.set()

    async def _give_up(self) -> None:
        """End a one-shot lane whose destination fails and settles nothing for too long."""
        since = time.monotonic()
        seen = -1
        while True:
            await anyio.sleep(0.2)
            stats = self.stats
            settled = stats.accepted + stats.filtered + stats.rejected.total()
            fails = stats.state in ("backing_off", "degraded") or stats.deferred
            if settled != seen or not fails:
                since, seen = time.monotonic(), settled
            elif time.monotonic() - since > self._options.patience_seconds:
                log.error("gave_up", destination=self.config.name, error=stats.last_error)
                self._stop.set()
                return

    async def stop_within(self, grace_seconds: float) -> None:
        """Stop reading, send what was read, and return when that is done or the grace is over."""
        self._grace_seconds = grace_seconds
        self._stop.set()
        self._begun.set()
        await self.finished.wait()


class _Still:
    """The acks of a lane that cannot deliver: nothing is ever settled."""

    def take_dirty(self) -> dict[str, int]:
        return {}
