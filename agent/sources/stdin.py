"""The source type ``stdin``: lines of standard input, spooled as they come.

A line counts as read once it is durable. At the spool's bound nothing is read, so that whoever writes has to wait.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.sources.spooled import Spooled
from agent.sources.wrap import Pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from agent.config.model import StdinSourceConfig
    from agent.sources.base import Surroundings
    from agent.sources.file import FileSource
    from agent.stats import AgentStats
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

_READ_BYTES = 64 << 10
_AGAIN_SECONDS = 0.05
_DISK_AGAIN_SECONDS = 1.0


class Stdin:
    """Reads one descriptor to its end."""

    def __init__(self, config: StdinSourceConfig, around: Surroundings, *, descriptor: int = 0) -> None:
        """Prepare; reads nothing yet."""
        self._spooled = Spooled(config, around, ends=False)
        self._pieces = Pieces(self._spooled.wrapper, most_line=config.max_line_bytes)
        self._descriptor = descriptor
        self._one_shot = around.one_shot
        self._waits = False
        self._room = min(_READ_BYTES, config.spool.max_bytes // 8)

    @property
    def lines(self) -> FileSource:
        """What lanes read: the spool."""
        return self._spooled.lines

    async def run(self, agent: AgentStats, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read to the end, then keep what is spooled available; until cancelled."""
        await self._spooled.run(agent, self._fill, task_status=task_status)

    def sweep(self, past: Callable[[Stream], bool]) -> list[str]:
        """Remove the segments that every lane is past."""
        return self._spooled.sweep(past)

    async def _fill(self) -> None:
        pollable = _pollable(self._descriptor)
        try:
            while True:
                await self._wait_for_room()
                if pollable:
                    await anyio.wait_readable(self._descriptor)
                    piece = self._read()
                else:
                    piece = await anyio.to_thread.run_sync(self._read)
                if piece == b"":
                    break
                if piece:
                    await self._keep(self._pieces.feed(piece))
        finally:
            # The rest of an unfinished line is never read by a later run.
            await self._keep(self._pieces.finish())
        log.info("stdin_ended", source=self.lines.name)
        self.lines.end()

    def _read(self) -> bytes | None:
        """Return what there is; None: nothing yet; empty: nothing any more."""
        try:
            return os.read(self._descriptor, self._room)
        except BlockingIOError:
            return None
        except OSError as error:
            log.error("stdin_unreadable", source=self.lines.name, error=error.strerror)
            return b""

    async def _wait_for_room(self) -> None:
        while not self._spooled.spool.has_room(2 * self._room):
            if not self._waits:
                self._waits = True
                log.warning("spool_full", source=self.lines.name, then="standard input is not read until there is room")
            await anyio.sleep(_AGAIN_SECONDS)
        if self._waits:
            self._waits = False
            log.info("spool_has_room", source=self.lines.name)

    async def _keep(self, bodies: list[bytes]) -> None:
        """Make durable what was read, however often the disk fails: it cannot be read again."""
        while True:
            try:
                await self._spooled.append(bodies, beyond=True)
            except OSError:
                try:
                    await anyio.sleep(_DISK_AGAIN_SECONDS)
                except anyio.get_cancelled_exc_class():
                    self._lost(bodies)
                    raise
            else:
                return

    def _lost(self, bodies: list[bytes]) -> None:
        size = sum(map(len, bodies))
        self._spooled.stats.lost_bytes += size
        reason = "the disk failed until the agent was stopped"
        log.error("bytes_lost", source=self.lines.name, events=len(bodies), bytes=size, reason=reason)


def _pollable(descriptor: int) -> bool:
    """Tell whether the event loop can wait for the descriptor: a pipe, a socket, a terminal."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(descriptor))
