"""A source whose events are pushed: kept in a spool, and read from there as files are."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.config.model import FileSourceConfig
from agent.parsers import build
from agent.parsers.base import Common
from agent.sources.file import FileSource
from agent.sources.wrap import Wrapper
from agent.state.folders import folder_name
from agent.streams.spool import SUFFIX, Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskStatus

    from agent.config.model import HttpSourceConfig, StdinSourceConfig
    from agent.sources.base import Surroundings
    from agent.stats import AgentStats
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

_POLL_SECONDS = 5.0
_LONGEST = 1 << 40
_AGAIN_SECONDS = 2.0


class Spooled:
    """The spool of one source, and ``lines``, through which lanes read it. A source type says how it is filled."""

    def __init__(self, config: HttpSourceConfig | StdinSourceConfig, around: Surroundings, *, ends: bool) -> None:
        """Prepare; touches nothing. ``ends`` when nothing is taken in, so that what is there is all there will be."""
        folder = os.path.join(os.path.abspath(around.state_dir), "spool", folder_name(config.name))
        self.stats = around.stats
        self.spool = Spool(folder, max_bytes=config.spool.max_bytes)
        self.spool.appended = self._appended
        members = {**around.members, "source_name": config.name, **config.fields}
        common = Common(members=members, subsystem=config.subsystem)
        self.wrapper = Wrapper(
            parser=build(config.format, common),
            common=common,
            most_line=config.max_line_bytes,
            stats=around.stats,
        )
        self.lines = FileSource(
            FileSourceConfig(
                name=config.name,
                include=[os.path.join(glob.escape(folder), f"*{SUFFIX}")],
                format="envelope",
                subsystem=config.subsystem,
                time_field=config.time_field,
                fields=config.fields,
                max_line_bytes=_LONGEST,
                poll_interval=_POLL_SECONDS,
                watch="poll",
            ),
            agent_id=around.agent_id,
            members=dict(around.members),
            store=around.store,
            stats=around.stats,
            one_shot=ends,
            visible=self.spool.visible,
            pool=around.pool,
        )
        self._one_shot = around.one_shot
        self._agent: AgentStats | None = None
        self.stats.spool_max_bytes = config.spool.max_bytes

    async def run(
        self, agent: AgentStats, fill: Callable[[], Awaitable[None]] | None, *, task_status: TaskStatus[None]
    ) -> None:
        """Take up what is spooled, then let ``fill`` append, until cancelled."""
        self._agent = agent
        late = await self._open(task_status)
        try:
            async with anyio.create_task_group() as group:
                await group.start(self._read)
                if not late:
                    task_status.started()
                if fill is not None:
                    await fill()
                await anyio.sleep_forever()
        finally:
            await self.spool.aclose()

    async def _read(self, *, task_status: TaskStatus[None]) -> None:
        if self._agent is not None:
            await self.lines.run(self._agent, task_status=task_status)

    async def _open(self, task_status: TaskStatus[None]) -> bool:
        """Open the spool; while the disk does not let us, the rest of the agent works. Tell whether that was so."""
        late = False
        while True:
            try:
                self.spool.open()
            except OSError as error:
                self.trouble(f"spool: {error.strerror or error}")
                if not late:
                    late = True
                    task_status.started()
                    if self._one_shot:
                        self.lines.end()  # with its trouble noted, so that the run fails
                await anyio.sleep(_AGAIN_SECONDS)
            else:
                self.trouble(None)
                return late

    def _appended(self, path: str) -> None:
        self.stats.spool_bytes = self.spool.used
        if self._agent is not None:
            self.lines.poke(path, self._agent)

    async def append(self, bodies: Sequence[bytes], *, beyond: bool = False) -> None:
        """Append envelopes, none with a line feed in it; see ``Spool.append``."""
        if not bodies:
            return
        try:
            await self.spool.append(b"\n".join(bodies) + b"\n", beyond=beyond)
        except OSError as error:
            self.trouble(f"spool: {error.strerror or error}")
            raise
        self.trouble(None)

    def trouble(self, reason: str | None) -> None:
        """Say why nothing can be taken in now; None: it can."""
        errors = self.lines.catalog.errors
        known = errors.get(self.spool.folder + os.sep)
        if reason is None:
            errors.pop(self.spool.folder + os.sep, None)
            if known:
                log.info("source_recovered", source=self.lines.name)
        else:
            errors[self.spool.folder + os.sep] = self.stats.last_error = reason
            if known != reason:
                log.error("source_in_trouble", source=self.lines.name, reason=reason)

    def sweep(self, past: Callable[[Stream], bool]) -> list[str]:
        """Remove the segments that every lane is past; return their streams."""
        gone = []
        for stream in list(self.lines.catalog.streams.values()):
            path = stream.path
            if path is None or stream.size < self.spool.visible(path) or not past(stream):
                continue
            if self.spool.remove(path):
                self.lines.forget(stream)
                gone.append(stream.id)
        self.stats.spool_bytes = self.spool.used
        return gone
