"""A running agent: sources, one lane per destination, cursors; and how all of it starts, reloads and stops."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

import agent
from agent.app.commit import Committer
from agent.app.inherit import forget, inherit
from agent.app.inputs import Inputs
from agent.app.keep import Keeper
from agent.app.options import Options
from agent.app.outputs import Outputs
from agent.app.reload import reload
from agent.app.states import opened
from agent.app.sweep import Sweeper
from agent.stats import AgentStats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from anyio.abc import TaskGroup

    from agent.app.lanes import RunningLane
    from agent.config.model import Config
    from agent.sources.feed import Feed
    from agent.sources.file import FileSource
    from agent.state.store import Store

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
        self.started = anyio.Event()
        self._reloading = anyio.Lock()

    async def run(self) -> None:
        """Run until ``stop`` is set; a one-shot agent also ends when every lane has delivered what there was.

        Raises ``StateError`` when the state directory cannot be used.
        """
        async with AsyncExitStack() as stack:
            store = stack.enter_context(opened(Path(self.config.agent.state_dir), self.options))
            if store.lost:
                self.stats.state_errors += 1
            self.stats.agent_id = self.config.agent.id or store.agent_id()
            async with anyio.create_task_group() as outer:
                async with anyio.create_task_group() as reading:
                    self._wire(store, sending=outer, reading=reading)
                    await self._start(outer)
                    self.started.set()
                    self.stats.ready = True
                    log.info("agent_started", agent_id=self.stats.agent_id, lanes=len(self.lanes))
                    await self._wait()
                    log.info("agent_stopping", grace_seconds=self.config.agent.shutdown_grace_seconds)
                    self.stop.set()
                    await self._outputs.drain()
                    self._committer.commit()
                    await self._keeper.last_look(self.sources)
                    reading.cancel_scope.cancel()
                outer.cancel_scope.cancel()
            if self._committer.commit() and self.options.forget_when_done:
                self._outputs.forget_finished()
        log.info("agent_stopped", **self.summary())

    def _wire(self, store: Store, *, sending: TaskGroup, reading: TaskGroup) -> None:
        self._store = store
        self._committer = Committer(store, self.stats)
        self._inputs = Inputs(
            self.sources,
            config=lambda: self.config,
            store=store,
            stats=self.stats,
            options=self.options,
            group=reading,
        )
        self._outputs = Outputs(
            self.lanes,
            files=self.sources,
            config=lambda: self.config,
            store=store,
            committer=self._committer,
            stats=self.stats,
            options=self.options,
            group=sending,
        )
        self._keeper = Keeper(self._outputs.feeds, stats=self.stats, replacing=self._reloading.locked)
        self._sweeper = Sweeper(self._inputs.running, self._settled_feeds, make_durable=store.make_durable)

    def _settled_feeds(self) -> list[Feed] | None:
        """Return the feeds of all lanes; None while some of them are missing: replaced, left out, or not known yet."""
        return None if self._reloading.locked() else self._outputs.all_feeds()

    async def _start(self, group: TaskGroup) -> None:
        for source in self.config.sources:
            self._inputs.add(source)
        for destination in self.config.destinations:
            self._outputs.add(destination)
        await self._inputs.scan_all()
        self._outputs.begin_all()
        group.start_soon(self._committer.run)
        group.start_soon(self._keeper.run, self.sources)
        group.start_soon(self._sweeper.run)

    async def _wait(self) -> None:
        """Return when it is time to stop."""
        if not self.options.one_shot:
            await self.stop.wait()
            return
        async with anyio.create_task_group() as group:
            group.start_soon(_then_cancel, self.stop.wait, group)
            group.start_soon(_then_cancel, self._outputs.finished, group)

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

        async def inherited() -> bool:
            done = await inherit(self._store, renamed or {}, stop=self.stop, trouble=self._committer.trouble)
            if done and between:
                await between()
            return done

        async with self._reloading:
            old, self.config = self.config, config
            await reload(self._inputs, self._outputs, old=old, new=config, between=inherited)
            self.stats.config_reloads["applied"] += 1
            log.info("config_reloaded", sources=len(self.sources), lanes=len(self.lanes))

    async def forget(self, names: Iterable[str]) -> None:
        """Forget how far lanes were that have ended for good."""
        async with self._reloading:
            gone = [name for name in names if name not in self.lanes]
            await forget(self._store, gone, stop=self.stop, trouble=self._committer.trouble)

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


async def _then_cancel(wait: Callable[[], Awaitable[None]], group: TaskGroup) -> None:
    await wait()
    group.cancel_scope.cancel()
