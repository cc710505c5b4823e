"""The running agent seen from outside: the admin endpoint, and what the service manager is told."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.errors import AgentError
from agent.lane.rejects import folders, tally
from agent.observe import notify
from agent.observe.health import status_line

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from agent.app.agent import Agent
    from agent.stats import AgentStats

log = structlog.get_logger(__name__)

STATUS_SECONDS = 10.0


async def administer(running: Agent) -> None:
    """Serve ``admin.listen`` and keep the service manager informed, until cancelled; also while the agent drains.

    Raises ``AgentError`` when the address cannot be had.
    """
    async with AsyncExitStack() as stack:
        if (listen := running.config.admin.listen) is not None:
            try:
                url = await stack.enter_async_context(_endpoint(running, listen))
            except AgentError as error:
                raise AgentError(f"admin.listen: {error}") from error
            log.info("admin_listening", url=url)
        async with anyio.create_task_group() as group:
            group.start_soon(_announce, running)
            group.start_soon(_tell_status, running)
            if (seconds := notify.watchdog_seconds()) is not None:
                group.start_soon(_feed_watchdog, running, seconds / 2)
            await anyio.sleep_forever()


def _endpoint(running: Agent, listen: str) -> AbstractAsyncContextManager[str]:
    # Imported here: an agent without an endpoint does not pay for a web server.
    from agent.loopback import is_loopback_host
    from agent.observe.admin import admin_app
    from agent.serve import serving

    tallies = tally.Tallies(folders.root(Path(running.config.agent.state_dir)))

    def look() -> AgentStats:
        running.refresh()
        # What cannot be read now stays as it was last read: a counter must not fall for a moment's trouble.
        with suppress(OSError):
            found = tallies.read()
            running.stats.rejects_replayed = {
                (name, outcome): number
                for name, each in found.items()
                for outcome, number in (("accepted", each.accepted), ("refused", each.refused))
            }
        return running.stats

    app = admin_app(
        look,
        stalled_after=lambda: running.config.admin.stalled_after,
        loopback_only=is_loopback_host(listen.rpartition(":")[0]),
    )
    return serving(app, listen=listen, grace_seconds=1)


async def _announce(running: Agent) -> None:
    await running.started.wait()
    running.stats.ready = True
    running.refresh()
    notify.ready(status_line(running.stats))
    await running.stop.wait()
    notify.stopping("stopping: sending what was read")


async def _tell_status(running: Agent) -> None:
    while not running.stop.is_set():
        if not running.started.is_set():
            notify.still_starting(3 * STATUS_SECONDS)
        running.refresh()
        notify.status(status_line(running.stats))
        await anyio.sleep(STATUS_SECONDS)


async def _feed_watchdog(running: Agent, interval_seconds: float) -> None:
    """Say that the agent works, as long as this loop turns and every lane has its task.

    A destination that is down is no reason to be restarted; a lane that ended while the agent runs is.
    """
    complained = False
    while True:
        dead = [name for name, lane in running.lanes.items() if lane.finished.is_set()]
        if not dead or running.stop.is_set():
            notify.watchdog()
        elif not complained:
            complained = True
            log.error("lane_ended", destinations=dead, then="the service manager will restart the agent")
        await anyio.sleep(interval_seconds)
