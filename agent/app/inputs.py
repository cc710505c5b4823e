"""The sources of a running agent: built from their configuration, followed until they are ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent.config.host import hostname
from agent.sources import build
from agent.sources.base import Surroundings
from agent.sources.own import own_files
from agent.state.folders import folder_name
from agent.stats import SourceStats
from agent.streams.handles import Pool
from agent.streams.hold import Holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from agent.app.options import Options
    from agent.config.model import Config, SourceConfig
    from agent.sources.base import Source
    from agent.sources.file import FileSource
    from agent.state.store import Store
    from agent.stats import AgentStats


class Inputs:
    """Every source that runs, by name."""

    def __init__(
        self,
        files: dict[str, FileSource],
        *,
        config: Callable[[], Config],
        store: Store,
        stats: AgentStats,
        options: Options,
        group: TaskGroup,
    ) -> None:
        """Follow sources in ``group``; ``files`` is kept up to date with what lanes read of them.

        ``config`` gives the configuration of the moment.
        """
        self.files = files
        self.running: dict[str, Source] = {}
        self._config = config
        self._store = store
        self._stats = stats
        self._options = options
        self._group = group
        self._pool = Pool()
        self._scopes: dict[str, tuple[anyio.CancelScope, anyio.Event]] = {}
        """How a source is ended, and what tells that it has."""

    def add(self, source: SourceConfig) -> None:
        """Build ``source``; nothing is looked at before ``scan``."""
        config = self._config()
        own = config.agent
        members: dict[str, object] = {
            "hostname": hostname(config),
            "source_id": self._stats.agent_id,
            "source_org_id": own.org_id,
            "source_type": own.source_type,
        }
        built = build(
            source,
            Surroundings(
                agent_id=self._stats.agent_id,
                members=members,
                store=self._store,
                state_dir=Path(own.state_dir),
                stats=self._stats.sources.setdefault(source.name, SourceStats(source=source.name)),
                never=list(own_files(config)),
                one_shot=self._options.one_shot,
                paths=self._options.paths,
                holds=self._holds(source.name),
                pool=self._pool,
            ),
        )
        self.running[source.name] = built
        self.files[source.name] = built.lines

    def _holds(self, source: str) -> Holds | None:
        if self._options.one_shot:
            return None
        config = self._config()
        folder = Path(config.agent.state_dir) / "holds" / folder_name(source)
        return Holds(folder, max_bytes=config.hold.max_bytes)

    async def scan(self, name: str) -> None:
        """Start following the source; returns when everything was looked at once."""
        scope, ended = anyio.CancelScope(), anyio.Event()
        self._scopes[name] = scope, ended
        await self._group.start(self._follow, self.running[name], scope, ended)

    async def scan_all(self) -> None:
        """Start following every source, all at a time."""
        async with anyio.create_task_group() as scanning:
            for name in self.running:
                scanning.start_soon(self.scan, name)

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
                await source.run(self._stats, task_status=task_status)
        finally:
            ended.set()

    async def end(self, name: str) -> None:
        """Stop following the source; its address and its spool are free for another one then."""
        del self.files[name]
        del self.running[name]
        scope, ended = self._scopes.pop(name)
        scope.cancel()
        await ended.wait()
