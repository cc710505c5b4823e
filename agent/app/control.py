"""Destinations from the Audits API in a running agent (WIRE 2.3): looked at again and again, applied lane by lane.

On any trouble the last good list goes on; it is on disk, so the next start has it, too.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.api.errors import ApiError
from agent.api.remote import identifier, title
from agent.app.merge import merge
from agent.app.remote_list import connected, fetch, keep, recall, wanted
from agent.stats import ControlPlaneStats

if TYPE_CHECKING:
    from agent.api.client import Client
    from agent.api.remote import Unusable
    from agent.app.agent import Agent
    from agent.app.remote_list import Remote
    from agent.config.model import Config

log = structlog.get_logger(__name__)

JITTER = 0.1
MOST_SECONDS = 3600.0
"""A server that wants to be left alone for longer is asked again after this."""


class ControlPlane:
    """Joins the configuration file with the API's list, for one agent."""

    def __init__(self, config: Config) -> None:
        """Recall the last list; ``initial`` is what to start the agent with."""
        self._local = config
        self._remote: Remote | None = None
        self._problems: dict[str, str] = {}
        self._trouble: str | None = None
        self._rung = anyio.Event()
        self._applying = anyio.Lock()
        self.stats: ControlPlaneStats | None = None
        self._begin(config)
        self.initial = self._merged()

    def _begin(self, config: Config) -> None:
        self._local = config
        if not wanted(config):
            self._remote, self.stats = None, None
        elif self._remote is None or not self._remote.is_of(config):
            self._remote = recall(config)
            self.stats = ControlPlaneStats(known=self._remote is not None)
        self._trouble = None

    def _merged(self) -> Config:
        if self._remote is None:
            return self._local
        config, unusable = merge(self._local, self._remote.destinations, self._remote.credentials)
        self._report(unusable)
        return config

    def _report(self, unusable: list[Unusable]) -> None:
        """Say what is wrong with single destinations: each trouble once, and in the health report while it lasts."""
        now = {each.id or each.name: each for each in unusable}
        for key, each in now.items():
            if self._problems.get(key) != each.problem:
                log.error(
                    "remote_destination_unusable", destination=each.name, destination_id=each.id, problem=each.problem
                )
        self._problems = {key: each.problem for key, each in now.items()}
        if self.stats is not None:
            self.stats.problems = [f"{each.name or each.id}: {each.problem}" for each in unusable]
            self.stats.destinations = len(self._remote.destinations) - len(unusable) if self._remote else 0

    async def run(self, running: Agent) -> None:
        """Look at the list now and every ``refresh``, give or take a tenth, until cancelled."""
        await running.started.wait()
        while True:
            config = self._local
            if not wanted(config):
                await self._rung.wait()
                continue
            # One client for all looks: its token and its connection are kept.
            async with connected(config) as client:
                while wanted(self._local) and self._local.control_plane == config.control_plane:
                    rung = self._rung
                    with anyio.move_on_after(await self._look(running, client)):
                        await rung.wait()

    async def reconfigure(self, running: Agent, config: Config) -> None:
        """Apply a new configuration file, with the list as it is known; then look at the list again."""
        async with self._applying:
            self._begin(config)
            running.stats.control_plane = self.stats
            await running.reload(self._merged())
        self._rung.set()
        self._rung = anyio.Event()

    async def _look(self, running: Agent, client: Client) -> float:
        """Ask once and apply what has changed; return how many seconds to wait then."""
        config, last, stats = self._local, self._remote, self.stats
        pause = config.control_plane.refresh * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 # no secret
        if stats is None:
            return pause
        try:
            found = await fetch(client, config, last)
        except ApiError as error:
            stats.failures += 1
            stats.last_error = str(error)
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("control_plane_unreachable", error=str(error), then="the last list goes on")
            return max(pause, min(error.retry_after_seconds or 0.0, MOST_SECONDS) * random.uniform(1, 1 + JITTER))  # noqa: S311
        if self._trouble is not None:
            self._trouble = None
            log.info("control_plane_recovered")
        stats.last_error = None
        async with self._applying:
            if config is self._local and not running.stop.is_set():
                await self._apply(running, found)
                stats.known = True
                stats.fetched_at = time.time()
        return pause

    async def _apply(self, running: Agent, found: Remote) -> None:
        last = self._remote
        if found == last:
            return
        self._remote = found
        new = self._merged()
        before = {identifier(each): title(each) for each in last.destinations} if last else {}
        after = {identifier(each): title(each) for each in found.destinations}
        local = {each.name for each in self._local.destinations}
        renamed = {
            name: after[number]
            for number, name in before.items()
            if number and number in after and after[number] != name and not {name, after[number]} & local
        }
        gone = {name for number, name in before.items() if number and number not in after} - local - set(after.values())
        kept = False

        async def written() -> None:
            nonlocal kept
            kept = await anyio.to_thread.run_sync(keep, self._local, found)

        if new.destinations == running.config.destinations and not gone:
            await written()
            return
        # In this order, so that a crash in between finds the cursors of whatever list the next start has.
        await running.reload(new, renamed=renamed, between=written)
        if kept and (old := gone | (renamed.keys() - set(after.values()))):
            await running.forget(old)
        log.info(
            "remote_destinations_changed",
            added=sorted(after[number] for number in after.keys() - before.keys()),
            removed=sorted(gone),
            renamed=renamed,
            destinations=len(after),
        )
