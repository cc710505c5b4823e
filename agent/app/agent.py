"""A running agent: sources, one lane per destination, cursors; and how all of it starts, reloads and stops."""

from __future__ import annotations

import socket
import sqlite3
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

import agent
from agent.app.commit import Committer
from agent.app.inherit import forget, inherit
from agent.app.keep import Keeper
from agent.app.lanes import RunningLane
from agent.app.options import Options
from agent.app.states import opened
from agent.app.sweep import Sweeper
from agent.errors import StateError
from agent.filters import AgentIdentity
from agent.lane.rejects import Rejects
from agent.sources import build
from agent.sources.base import Surroundings
from agent.sources.own import own_files
from agent.state.folders import folder_name
from agent.stats import AgentStats, LaneStats, SourceStats
from agent.streams.handles import Pool
from agent.streams.hold import Holds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from anyio.abc import TaskGroup

    from agent.config.model import Config, DestinationConfig, SourceConfig
    from agent.sources.base import Source
    from agent.sources.feed import Feed
    from agent.sources.file import FileSource

log = structlog.get_logger(__name__)


class Agent:
    """Everything that runs for one configuration. ``run`` it once; ``reload`` while it runs."""

    def __init__(self, config: Config, *, options: Options | None = None) -> None:
        """Prepare; touches nothing."""
        self.config = config
        self.options = options or Options()
        self.stop = anyio.Event()
        """Set it to stop: what was read is sent within the grace."""
        self.stats = AgentStats(agent_id=config.agent.id or "", version=agent.__version__, started_at=time.time())
        self.lanes: dict[str, RunningLane] = {}
        self.sources: dict[str, FileSource] = {}
        """What lanes read, by the source's name."""
        self._inputs: dict[str, Source] = {}
        self.started = anyio.Event()
        self._scopes: dict[str, tuple[anyio.CancelScope, anyio.Event]] = {}
        """How a source is ended, and what tells that it has."""
        self._reloading = anyio.Lock()
        self._pool = Pool()
        self._keeper = Keeper(self._feeds, stats=self.stats, replacing=self._reloading.locked)

    async def run(self) -> None:
        """Run until ``stop`` is set; a one-shot agent also ends when every lane has delivered what there was.

        Raises ``StateError`` when the state directory cannot be used.
        """
        async with AsyncExitStack() as stack:
            self._store = stack.enter_context(opened(Path(self.config.agent.state_dir), self.options))
            if self._store.lost:
                self.stats.state_errors += 1
            self.stats.agent_id = self.config.agent.id or self._store.agent_id()
            self._committer = Committer(self._store, self.stats)
            async with anyio.create_task_group() as outer:
                self._outer = outer
                async with anyio.create_task_group() as reading:
                    self._reading = reading
                    await self._start(outer)
                    self.started.set()
                    self.stats.ready = True
                    log.info("agent_started", agent_id=self.stats.agent_id, lanes=len(self.lanes))
                    await self._wait()
                    log.info("agent_stopping", grace_seconds=self.config.agent.shutdown_grace_seconds)
                    await self._drain()
                    self._committer.commit()
                    await self._keeper.last_look(self.sources)
                    reading.cancel_scope.cancel()
                outer.cancel_scope.cancel()
            if self._committer.commit() and self.options.forget_when_done:
                self._forget_finished()
        log.info("agent_stopped", **self.summary())

    async def _start(self, outer: TaskGroup) -> None:
        for source in self.config.sources:
            self._add_source(source)
        for destination in self.config.destinations:
            self._add_lane(destination)
        async with anyio.create_task_group() as scanning:
            for running in self._inputs.values():
                scanning.start_soon(self._scan, running)
        for lane in self.lanes.values():
            self._begin(lane)
        outer.start_soon(self._committer.run)
        outer.start_soon(self._keeper.run, self.sources)
        sweeper = Sweeper(self._inputs, self._settled_feeds, make_durable=self._store.make_durable)
        outer.start_soon(sweeper.run)

    def _begin(self, lane: RunningLane) -> None:
        """Let ``lane`` read as soon as the state can say that it has begun; a one-shot run ends with ``StateError``."""
        try:
            lane.begin()
        except sqlite3.Error as error:
            if self.options.one_shot:
                raise StateError(f"{self._store.path}: cannot be written: {error}") from error
            self._committer.trouble(error)
            self._outer.start_soon(lane.begin_later, self._committer.trouble)

    async def _scan(self, source: Source) -> None:
        """Start following ``source``; returns when everything was looked at once."""
        scope, ended = anyio.CancelScope(), anyio.Event()
        self._scopes[source.lines.name] = scope, ended
        await self._reading.start(self._follow, source, scope, ended)

    async def _follow(
        self,
        source: Source,
        scope: anyio.CancelScope,
        ended: anyio.Event,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            with scope:
                await source.run(self.stats, task_status=task_status)
        finally:
            ended.set()

    async def _wait(self) -> None:
        if not self.options.one_shot:
            await self.stop.wait()
            return
        async with anyio.create_task_group() as group:
            for lane in self.lanes.values():
                group.start_soon(lane.finished.wait)
            group.start_soon(self._cancel_on_stop, group)
            group.start_soon(self._cancel_on_finish, group)

    async def _cancel_on_stop(self, group: TaskGroup) -> None:
        await self.stop.wait()
        group.cancel_scope.cancel()

    async def _cancel_on_finish(self, group: TaskGroup) -> None:
        for lane in self.lanes.values():
            await lane.finished.wait()
        group.cancel_scope.cancel()

    async def _drain(self) -> None:
        self.stop.set()
        async with anyio.create_task_group() as group:
            for lane in self.lanes.values():
                group.start_soon(lane.stop_within, self.config.agent.shutdown_grace_seconds)

    def _forget_finished(self) -> None:
        for lane in self.lanes.values():
            if not lane.feed.behind()[0]:
                self._store.drop_cursors(lane.feed.lane)

    # Sources and lanes

    def _feeds(self) -> list[Feed]:
        return [lane.feed for lane in self.lanes.values()]

    def _settled_feeds(self) -> list[Feed] | None:
        """Return the feeds of all lanes; None while some of them are missing: replaced, left out, or not known yet."""
        plane = self.stats.control_plane
        apart = self.options.destinations is not None or self.options.cursor_prefix or (plane and not plane.known)
        return None if apart or self._reloading.locked() else self._feeds()

    def _identity(self) -> AgentIdentity:
        return AgentIdentity(id=self.stats.agent_id, type=self.config.agent.type, hostname=self._hostname())

    def _hostname(self) -> str:
        return self.config.agent.hostname or socket.gethostname()

    def _add_source(self, config: SourceConfig) -> Source:
        own = self.config.agent
        members: dict[str, object] = {
            "hostname": self._hostname(),
            "source_id": self.stats.agent_id,
            "source_org_id": own.org_id,
            "source_type": own.source_type,
        }
        stats = self.stats.sources.setdefault(config.name, SourceStats(source=config.name))
        source = build(
            config,
            Surroundings(
                agent_id=self.stats.agent_id,
                members=members,
                store=self._store,
                state_dir=Path(own.state_dir),
                stats=stats,
                never=list(own_files(self.config)),
                one_shot=self.options.one_shot,
                paths=self.options.paths,
                holds=self._holds(config.name),
                pool=self._pool,
            ),
        )
        self._inputs[config.name] = source
        self.sources[config.name] = source.lines
        return source

    def _holds(self, source: str) -> Holds | None:
        if self.options.one_shot:
            return None
        folder = Path(self.config.agent.state_dir) / "holds" / folder_name(source)
        return Holds(folder, max_bytes=self.config.hold.max_bytes)

    def _add_lane(self, config: DestinationConfig) -> None:
        stats = self.stats.lanes.setdefault(
            config.name, LaneStats(destination=config.name, destination_id=config.id or config.name)
        )
        if not config.enabled or not self.options.delivers_to(config.name):
            stats.state = "disabled"
            return
        lane = RunningLane(
            config,
            identity=self._identity(),
            store=self._store,
            rejects=self._rejects(config.name),
            stats=stats,
            options=self.options,
        )
        for source in self.sources.values():
            lane.feed.attach(source)
        self.lanes[config.name] = lane
        self._committer.add(lane.feed, lane.acks)
        self._outer.start_soon(lane.run)

    def _rejects(self, destination: str) -> Rejects:
        def dropped(name: str, events: int) -> None:
            self.stats.rejects_dropped[name] += events

        return Rejects(
            Path(self.config.agent.state_dir),
            destination,
            max_bytes=lambda: self.config.agent.rejects_max_bytes,
            dropped=dropped,
        )

    async def reload(
        self,
        config: Config,
        *,
        renamed: Mapping[str, str] | None = None,
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Apply a new configuration: what is unchanged goes on, what changed starts anew at its cursors.

        ``renamed`` gives the cursors of old names to new ones; ``forget`` the old ones then. ``between`` is called when
        what ends has ended, and before anything begins.
        """
        async with self._reloading:
            old = self.config
            rebuilt = (old.agent.hostname, old.agent.org_id, old.agent.type, old.agent.source_type) != (
                config.agent.hostname,
                config.agent.org_id,
                config.agent.type,
                config.agent.source_type,
            )
            self.config = config
            await self._reload_sources(old, config, everything=rebuilt)
            await self._end_lanes(old.destinations, config.destinations, everything=rebuilt)
            trouble = self._committer.trouble
            if await inherit(self._store, renamed or {}, stop=self.stop, trouble=trouble):
                if between:
                    await between()
                self._begin_lanes(old.destinations, config.destinations, everything=rebuilt)
            self.stats.config_reloads["applied"] += 1
            log.info("config_reloaded", sources=len(self.sources), lanes=len(self.lanes))

    async def forget(self, names: Iterable[str]) -> None:
        """Forget how far lanes were that have ended for good."""
        async with self._reloading:
            gone = [name for name in names if name not in self.lanes]
            await forget(self._store, gone, stop=self.stop, trouble=self._committer.trouble)

    async def _reload_sources(self, old: Config, new: Config, *, everything: bool) -> None:
        before = {s.name: s for s in old.sources}
        after = {s.name: s for s in new.sources}
        for name, config in before.items():
            if everything or after.get(name) != config:
                source = self.sources.pop(name)
                for lane in self.lanes.values():
                    lane.feed.detach(source)
                del self._inputs[name]
                scope, ended = self._scopes.pop(name)
                scope.cancel()
                await ended.wait()  # its address and its spool are free for the next one then
        for name, config in after.items():
            if everything or before.get(name) != config:
                added = self._add_source(config)
                for lane in self.lanes.values():
                    lane.feed.attach(added.lines)
                await self._scan(added)
                for lane in self.lanes.values():
                    self._begin(lane)

    async def _end_lanes(
        self, old: Sequence[DestinationConfig], new: Sequence[DestinationConfig], *, everything: bool
    ) -> None:
        after = {d.name: d for d in new}
        grace = self.config.agent.shutdown_grace_seconds
        async with anyio.create_task_group() as group:
            for config in old:
                if everything or after.get(config.name) != config:
                    group.start_soon(self._remove_lane, config.name, grace)
        for name in {d.name for d in old} - after.keys():
            self.stats.lanes.pop(name, None)

    def _begin_lanes(
        self, old: Sequence[DestinationConfig], new: Sequence[DestinationConfig], *, everything: bool
    ) -> None:
        before = {d.name: d for d in old}
        for config in new:
            if everything or before.get(config.name) != config:
                self._add_lane(config)
                if config.name in self.lanes:
                    self._begin(self.lanes[config.name])

    async def _remove_lane(self, name: str, grace_seconds: float) -> None:
        if lane := self.lanes.pop(name, None):
            await lane.stop_within(grace_seconds)
            self._committer.remove(name)
            lane.feed.close()

    # What there is to say

    def refresh(self) -> None:
        """Bring the lag figures of every lane up to date."""
        for lane in self.lanes.values():
            lane.stats.behind_bytes, lane.stats.oldest_undelivered_at = lane.feed.behind()

    def summary(self) -> dict[str, int]:
        """Return what was accepted, filtered, rejected and left, over all lanes."""
        self.refresh()
        lanes = self.stats.lanes.values()
        return {
            "accepted": sum(s.accepted for s in lanes),
            "filtered": sum(s.filtered for s in lanes),
            "rejected": sum(s.rejected.total() for s in lanes),
            "behind_bytes": sum(s.behind_bytes for s in lanes),
            "lost_bytes": sum(s.lost_bytes for s in self.stats.sources.values()),
        }
