"""``audit-agent demo``: a collector and an agent on this host's own logs, with nothing to configure."""

from __future__ import annotations

import glob
import json
import math
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from agent.cli.common import add_logging, configure_logging, run_async, seconds

if TYPE_CHECKING:
    import argparse

    from anyio.abc import TaskStatus

    from agent.app.agent import Agent
    from agent.collector.store import Store
    from agent.config.model import Config

HOST_LOGS = ("/var/log/*.log", "/var/log/syslog", "/var/log/messages", "/var/log/secure", "/var/log/*/*.log")
"""Where logs that anybody may read are usually found."""

_LINE_SECONDS = 0.5
_FINISH_SECONDS = 5.0
_POLL_SECONDS = 0.1
_SHOW_SECONDS = 1.0
_NEWEST = 3
_WIDTH = 110


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo", help="show it at work on this host's own logs", description=__doc__)
    add_logging(parser)
    parser.add_argument(
        "--for", dest="duration", type=seconds, metavar="DURATION", help="end after this (default: Ctrl-C)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run collector, agent and writer until Ctrl-C; returns the exit code."""
    from agent import collector
    from agent.app.agent import Agent

    code = 1

    async def main() -> None:
        nonlocal code
        with tempfile.TemporaryDirectory(prefix="audit-agent-demo-") as folder:
            own = Path(folder) / "demo.jsonl"
            own.touch()
            async with collector.running(settings=collector.Settings(open_to_this_machine=True)) as receiver:
                config = _config(Path(folder), own, receiver.url)
                running = Agent(config)
                _introduce(config, receiver.url)
                async with anyio.create_task_group() as group:
                    ending = await group.start(_ended, arguments.duration)
                    group.start_soon(_write, own, ending)
                    group.start_soon(_show, running, receiver.store)
                    group.start_soon(_finish, running, ending)
                    await running.run()
                    group.cancel_scope.cancel()
                code = _conclude(running, receiver.store)

    configure_logging(arguments, None, level="warning")
    run_async(main)
    return code


def _config(folder: Path, own: Path, url: str) -> Config:
    from agent.config.model import (
        AdminConfig,
        AgentConfig,
        Config,
        DestinationConfig,
        FileSourceConfig,
        SourceConfig,
    )

    sources: list[SourceConfig] = [
        FileSourceConfig(name="demo", include=[str(own)], subsystem="access", time_field="time")
    ]
    if readable := _readable_logs():
        sources.append(FileSourceConfig(name="host", include=readable, format="text"))
    return Config(
        agent=AgentConfig(state_dir=str(folder / "state"), source_type="host-agent", shutdown_grace_seconds=5),
        admin=AdminConfig(listen=None),
        sources=sources,
        destinations=[
            DestinationConfig(
                name="collector",
                destination_type="webhook",
                location=f"{url}/v1/bulk_audit_events",
                max_events_per_transaction=500,
            )
        ],
    )


def _readable_logs() -> list[str]:
    found = {path for pattern in HOST_LOGS for path in glob.glob(pattern)}  # noqa: PTH207 # globs of absolute paths
    # A bracket in a file's name would be read as a glob.
    return sorted(glob.escape(p) for p in found if Path(p).is_file() and os.access(p, os.R_OK))


def _introduce(config: Config, url: str) -> None:
    from agent.config.model import FileSourceConfig

    print(f"collector  {url}")
    for source in config.sources:
        if not isinstance(source, FileSourceConfig):
            continue
        shown = ", ".join(source.include[:6]) + (f" and {len(source.include) - 6} more" if source.include[6:] else "")
        print(f"source     {source.name}: {shown}")
    print("Ctrl-C ends it.\n", flush=True)


async def _write(path: Path, ending: anyio.Event) -> None:
    """Append an access record now and then, as an application would, until the demo ends."""
    number = 0
    with path.open("a", encoding="utf-8") as log:
        while not ending.is_set():
            number += 1
            record = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "method": "GET",
                "path": f"/reports/{number}.pdf",
                "response_code": 200,
                "sub": "demo",
            }
            log.write(json.dumps(record) + "\n")
            log.flush()
            with anyio.move_on_after(_LINE_SECONDS):
                await ending.wait()


async def _ended(duration: float | None, *, task_status: TaskStatus[anyio.Event]) -> None:
    """Hand out an event that is set by Ctrl-C, by SIGTERM or after ``duration`` seconds."""
    ending = anyio.Event()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started(ending)
        with anyio.move_on_after(duration if duration is not None else math.inf):
            async for _ in signals:
                break
        ending.set()
        await anyio.sleep_forever()


async def _finish(running: Agent, ending: anyio.Event) -> None:
    """Stop once everything that was written has been delivered, or after a while."""
    await ending.wait()
    with anyio.move_on_after(_FINISH_SECONDS):
        await running.started.wait()
        while not _all_delivered(running):  # noqa: ASYNC110 # lag is a figure, nothing rings when it is zero
            await anyio.sleep(_POLL_SECONDS)
    running.stop.set()


def _all_delivered(running: Agent) -> bool:
    """Tell whether no destination is behind."""
    return running.summary()["behind_bytes"] == 0


async def _show(running: Agent, store: Store) -> None:
    """Print counts every second, with the newest events that arrived."""
    await running.started.wait()
    seen = -1
    while True:
        await anyio.sleep(_SHOW_SECONDS)
        count = store.count()
        figures = running.summary()
        print(
            f"stored {count:>8}   accepted {figures['accepted']:>8}   rejected {figures['rejected']}"
            f"   behind {figures['behind_bytes']} bytes",
            flush=True,
        )
        if count != seen:
            for event in store.newest(_NEWEST):
                print(f"    {_one_line(event)}")
            seen = count


def _one_line(event: bytes) -> str:
    """Return an event's bytes in one printable line; control characters of a log line must not reach the terminal."""
    members = json.loads(event)["event"]
    text = str(members.get("message") or members.get("path") or members)
    line = f"{members.get('source_name')}: {text}"[:_WIDTH]
    return "".join(c if c.isprintable() else "?" for c in line)


def _conclude(running: Agent, store: Store) -> int:
    figures = running.summary()
    per_source = ", ".join(f"{name}: {stats.events}" for name, stats in running.stats.sources.items())
    print(f"\nread {sum(s.events for s in running.stats.sources.values())} events ({per_source})")
    print(
        f"stored {store.count()} in the collector, {figures['rejected']} rejected, {figures['behind_bytes']} bytes left"
    )
    whole = figures["behind_bytes"] == 0 and figures["rejected"] == 0
    print(
        "every event was delivered" if whole else "not everything was delivered",
        file=sys.stdout if whole else sys.stderr,
    )
    return 0 if whole else 1
