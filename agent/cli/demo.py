"""``audit-agent demo``: a collector and an agent on this host's own logs, with nothing to configure."""

from __future__ import annotations

import glob
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.common import add_logging, configure_logging, run_async, seconds

if TYPE_CHECKING:
    import argparse

    from agent.app.agent import Agent
    from agent.collector.store import Store
    from agent.config.model import Config

HOST_LOGS = ("/var/log/*.log", "/var/log/syslog", "/var/log/messages", "/var/log/secure", "/var/log/*/*.log")
"""Where logs that anybody may read are usually found."""

_LINE_SECONDS = 0.5
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
    import anyio

    from agent import collector
    from agent.app.agent import Agent
    from agent.cli.run import stop_on_signals

    code = 1

    async def main() -> None:
        nonlocal code
        with tempfile.TemporaryDirectory(prefix="audit-agent-demo-") as folder:
            own = Path(folder) / "demo.jsonl"
            own.touch()
            async with collector.running() as receiver:
                config = _config(Path(folder), own, receiver.url)
                running = Agent(config)
                _introduce(config, receiver.url)
                async with anyio.create_task_group() as group:
                    await group.start(stop_on_signals, running)
                    group.start_soon(_write, own)
                    group.start_soon(_show, running, receiver.store)
                    if arguments.duration is not None:
                        group.start_soon(_end_after, running, arguments.duration)
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
    )

    sources = [FileSourceConfig(name="demo", include=[str(own)], subsystem="access", time_field="time")]
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
    print(f"collector  {url}")
    for source in config.sources:
        shown = ", ".join(source.include[:6]) + (f" and {len(source.include) - 6} more" if source.include[6:] else "")
        print(f"source     {source.name}: {shown}")
    print("Ctrl-C ends it.\n", flush=True)


async def _write(path: Path) -> None:
    """Append an access record now and then, as an application would."""
    import anyio

    number = 0
    with path.open("a", encoding="utf-8") as log:
        while True:
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
            await anyio.sleep(_LINE_SECONDS)


async def _end_after(running: Agent, duration: float) -> None:
    import anyio

    await anyio.sleep(duration)
    running.stop.set()


async def _show(running: Agent, store: Store) -> None:
    """Print counts every second, with the newest events that arrived."""
    import anyio

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
