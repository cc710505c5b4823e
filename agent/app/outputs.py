"""The lanes of a running agent: added, begun, drained, taken away."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent.app.lanes import RunningLane
from agent.config.host import hostname
from agent.errors import StateError
from agent.filters import AgentIdentity
from agent.lane.rejects import Rejects
from agent.stats import LaneStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from anyio.abc import TaskGroup

    from agent.app.commit import Committer
    from agent.app.options import Options
    from agent.config.model import Config, DestinationConfig
    from agent.sources.feed import Feed
    from agent.sources.file import FileSource
    from agent.state.store import Store
    from agent.stats import AgentStats


class Outputs:
    """Every lane that runs, by its destination's name."""

    def __init__(
        self,
        lanes: dict[str, RunningLane],
        *,
        files: Mapping[str, FileSource],
        config: Callable[[], Config],
        store: Store,
        committer: Committer,
        stats: AgentStats,
        options: Options,
        group: TaskGroup,
    ) -> None:
        """Run lanes in ``group``, on all of ``files``; ``lanes`` is kept up to date.

        ``config`` gives the configuration of the moment.
        """
        self.lanes = lanes
        self._files = files
        self._config = config
        self._store = store
        self._committer = committer
        self._stats = stats
        self._options = options
        self._group = group

    def feeds(self) -> list[Feed]:
        """Return what the lanes read from."""
        return [lane.feed for lane in self.lanes.values()]

    def all_feeds(self) -> list[Feed] | None:
        """Return the feeds, None while some are missing: this run leaves them out, or they are not known yet."""
        plane = self._stats.control_plane
        apart = self._options.destinations is not None or self._options.cursor_prefix or (plane and not plane.known)
        return None if apart else self.feeds()

    def add(self, destination: DestinationConfig) -> None:
        """Start the destination's lane, unless it takes no part; it reads nothing before it is begun."""
        stats = self._stats.lanes.setdefault(
            destination.name,
            LaneStats(destination=destination.name, destination_id=destination.id or destination.name),
        )
        if not destination.enabled or not self._options.delivers_to(destination.name):
            stats.state = "disabled"
            return
        config = self._config()
        lane = RunningLane(
            destination,
            identity=AgentIdentity(id=self._stats.agent_id, type=config.agent.type, hostname=hostname(config)),
            store=self._store,
            rejects=self._rejects(destination.name),
            stats=stats,
            options=self._options,
        )
        for source in self._files.values():
            lane.feed.attach(source)
        self.lanes[destination.name] = lane
        self._committer.add(lane.feed, lane.acks)
        self._group.start_soon(lane.run)

    def _rejects(self, destination: str) -> Rejects:
        def dropped(name: str, events: int) -> None:
            self._stats.rejects_dropped[name] += events

        return Rejects(
            Path(self._config().agent.state_dir),
            destination,
            max_bytes=lambda: self._config().agent.rejects_max_bytes,
            dropped=dropped,
        )

    def begin(self, name: str) -> None:
        """Let the lane, if there is one, read as soon as the state can say that it has begun.

        A one-shot run ends with ``StateError`` where it cannot.
        """
        if (lane := self.lanes.get(name)) is None:
            return
        try:
            lane.begin()
        except sqlite3.Error as error:
            if self._options.one_shot:
                raise StateError(f"{self._store.path}: cannot be written: {error}") from error
            self._committer.trouble(error)
            self._group.start_soon(lane.begin_later, self._committer.trouble)

    def begin_all(self) -> None:
        """Let every lane read what it does not read yet."""
        for name in self.lanes:
            self.begin(name)

    def attach(self, source: FileSource) -> None:
        """Let every lane read ``source``, too."""
        for feed in self.feeds():
            feed.attach(source)

    def detach(self, source: FileSource) -> None:
        """Take ``source`` away from every lane."""
        for feed in self.feeds():
            feed.detach(source)

    async def finished(self) -> None:
        """Return when every lane is over."""
        for lane in list(self.lanes.values()):
            await lane.finished.wait()

    async def drain(self) -> None:
        """Stop every lane; what was read is sent within the grace."""
        async with anyio.create_task_group() as group:
            for lane in self.lanes.values():
                group.start_soon(lane.stop_within, self._config().agent.shutdown_grace_seconds)

    async def remove(self, name: str) -> None:
        """Stop the lane within the grace and let go of it, if there is one."""
        if lane := self.lanes.pop(name, None):
            await lane.stop_within(self._config().agent.shutdown_grace_seconds)
            self._committer.remove(name)
            lane.feed.close()

    def drop_figures(self, names: Iterable[str]) -> None:
        """Forget the figures of destinations that are gone."""
        for name in names:
            self._stats.lanes.pop(name, None)

    def forget_finished(self) -> None:
        """Drop the cursors of lanes that have delivered everything."""
        for feed in self.feeds():
            if not feed.behind()[0]:
                self._store.drop_cursors(feed.lane)
