"""Telling a collector how this agent is, every few seconds; whatever becomes of it, delivery goes on."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx
import msgspec
import structlog

from agent.auth import bearer
from agent.config.host import hostname
from agent.config.model import HttpBearer
from agent.destinations import tls
from agent.destinations.http1 import Http1
from agent.errors import SecretError
from agent.lane.rejects import folders
from agent.lane.rejects.record import decode
from agent.observe.report import report

if TYPE_CHECKING:
    import ssl

    from agent.app.agent import Agent
    from agent.config.model import ReportConfig
    from agent.lane.rejects import Reject

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
NEWEST_REJECTS = 20
_TAIL_BYTES = 256 << 10
"""Of rejects that are looked at for the newest: a large file is not read for a report."""


class ReportError(Exception):
    """A report did not arrive; the text says why, without a secret."""


async def report_often(running: Agent) -> None:
    """Report to ``report.stats_url`` until cancelled; nothing where it is not set.

    One request at a time, none waits for another, and what fails is not sent again: the next one says more.
    """
    config = running.config.report
    if config.stats_url is None:
        return
    await running.started.wait()
    trouble: str | None = None
    while True:
        trouble = await _once(running, config, trouble)
        # Agents that were started together do not come together.
        await anyio.sleep(config.interval * random.uniform(0.9, 1.1))  # noqa: S311 # no secret


async def _once(running: Agent, config: ReportConfig, before: str | None) -> str | None:
    """Report; return why it failed, and log that when it is news."""
    try:
        with anyio.fail_after(TIMEOUT_SECONDS):
            await _send(config, await _made(running))
    except TimeoutError:
        trouble = "no answer in time"
    except (ReportError, SecretError, tls.TlsError, OSError, httpx.HTTPError, httpx.InvalidURL) as error:
        trouble = str(error) or type(error).__name__
    else:
        if before is not None:
            log.info("report_arrives", url=config.stats_url)
        return None
    if trouble != before:
        log.warning("report_failed", url=config.stats_url, error=trouble)
    return trouble


async def _made(running: Agent) -> tuple[str, bytes]:
    """Return the agent's id and its report."""
    running.refresh()
    rejects: list[Reject] = []
    if any(lane.rejected for lane in running.stats.lanes.values()):
        rejects = await anyio.to_thread.run_sync(newest_rejects, Path(running.config.agent.state_dir))
    made = report(
        running.stats,
        now=time.time(),
        hostname=hostname(running.config),
        stalled_after=running.config.admin.stalled_after,
        destinations=running.config.destinations,
        rejects=rejects,
    )
    return running.stats.agent_id, msgspec.json.encode(made)


async def _send(config: ReportConfig, made: tuple[str, bytes]) -> None:
    agent_id, body = made
    headers = {"Content-Type": "application/json"}
    if config.token is not None:
        headers["Authorization"] = bearer.value(HttpBearer(token=config.token))
    url = f"{(config.stats_url or '').rstrip('/')}/v1/agent_connectors/{quote(agent_id, safe='')}/dynamic_stats"
    context: ssl.SSLContext | None = None
    if url.lower().startswith("https:"):
        context = await anyio.to_thread.run_sync(tls.context, config.tls)
    transport = Http1(context=context, connect_timeout=TIMEOUT_SECONDS)
    async with (
        httpx.AsyncClient(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,  # its body is not read
    ):
        if not answer.is_success:
            raise ReportError(f"HTTP {answer.status_code}")


def newest_rejects(state_dir: Path) -> list[Reject]:
    """Return the newest rejects, newest first, looking at the end of each destination's newest file only."""
    newest: dict[Path, Path] = {}
    found: list[Reject] = []
    try:
        for path in folders.all_files(folders.root(state_dir)):
            newest[path.parent] = path
        for path in newest.values():
            found += _tail(path)
    except OSError as error:
        log.debug("rejects_not_reported", error=error.strerror)
    return sorted(found, key=lambda each: each.time, reverse=True)[:NEWEST_REJECTS]


def _tail(path: Path) -> list[Reject]:
    """Return the last few rejects of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read(_TAIL_BYTES).split(b"\n")[:-1]
    whole = lines if size <= _TAIL_BYTES else lines[1:]
    return [reject for line in whole[-NEWEST_REJECTS:] if (reject := decode(line))]
