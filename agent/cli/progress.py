"""How far a one-shot run is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from agent.app.agent import Agent

LINE_SECONDS = 5.0
_BAR_SECONDS = 0.1


async def show(running: Agent, bar: bool) -> None:  # started as a task
    """Show progress on standard error until cancelled."""
    await running.started.wait()
    if bar and sys.stderr.isatty():
        await _bar(running)
    else:
        await _lines(running)


def _figures(running: Agent) -> tuple[int, int, int]:
    """Return events settled, bytes settled and bytes in all, over all lanes."""
    done = running.summary()
    total = sum(s.size for source in running.sources.values() for s in source.catalog.streams.values() if s.path)
    total *= max(len(running.lanes), 1)
    settled = done["accepted"] + done["filtered"] + done["rejected"]
    return settled, max(total - done["behind_bytes"], 0), total


async def _lines(running: Agent) -> None:
    while True:
        await anyio.sleep(LINE_SECONDS)
        events, settled, total = _figures(running)
        share = f"{100 * settled // total}%" if total else "-"
        print(f"backfill: {events} events, {settled} of {total} bytes ({share})", file=sys.stderr, flush=True)


async def _bar(running: Agent) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.fields[events]} events"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("backfill", events=0)
        while True:
            events, settled, total = _figures(running)
            progress.update(task, completed=settled, total=total or None, events=events)
            await anyio.sleep(_BAR_SECONDS)
