"""``audit-agent run``: the daemon; with ``--once`` it ships what is there now and ends."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import anyio

from agent.cli.common import add_config, add_logging, add_patience, configure_logging, run_async

if TYPE_CHECKING:
    import argparse

    from anyio.abc import TaskStatus

    from agent.app.agent import Agent
    from agent.app.control import ControlPlane


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # argparse names no public type
    """Add the command."""
    parser = subparsers.add_parser("run", help="ship events until stopped", description=__doc__)
    add_config(parser)
    add_logging(parser)
    parser.add_argument("--once", action="store_true", help="ship what is there now, then exit: 0, or 1 if any is left")
    add_patience(parser, "with --once: give a destination up that delivers nothing for this long")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the agent; returns the exit code."""
    from agent.app.agent import Agent
    from agent.app.control import ControlPlane
    from agent.app.options import Options
    from agent.app.remote_list import complete
    from agent.validate import load_for_run

    config = load_for_run(arguments.config)
    configure_logging(arguments, config)
    options = Options(one_shot=arguments.once, patience_seconds=arguments.patience)
    running = None

    async def main() -> None:
        nonlocal running
        plane = None if arguments.once else ControlPlane(config)
        running = Agent(plane.initial if plane else await complete(config), options=options)
        async with anyio.create_task_group() as group:
            if plane:
                from agent.app.admin import administer
                from agent.app.reporting import report_often

                running.stats.control_plane = plane.stats
                group.start_soon(administer, running)
                group.start_soon(report_often, running)
                group.start_soon(plane.run, running)
            await group.start(stop_on_signals, running, arguments.config, plane)
            await running.run()
            group.cancel_scope.cancel()

    run_async(main)
    return outcome(running) if arguments.once and running else 0


async def stop_on_signals(
    running: Agent,
    path: str | None = None,
    plane: ControlPlane | None = None,
    *,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """SIGTERM and SIGINT stop, a second one ends the grace; SIGHUP reloads ``path``, if there is one."""
    numbers = [signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if path else [])]
    with anyio.open_signal_receiver(*numbers) as received:
        task_status.started()
        async for number in received:
            if number == signal.SIGHUP and path:
                await _reload(running, path, plane)
            elif running.stop.is_set():
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            else:
                running.stop.set()


async def _reload(running: Agent, path: str, plane: ControlPlane | None) -> None:
    import structlog

    from agent.errors import ConfigError
    from agent.observe import notify
    from agent.validate import load_for_run

    log = structlog.get_logger(__name__)
    if not running.started.is_set():
        return
    notify.reloading()
    try:
        config = load_for_run(path)
        if plane:
            await plane.reconfigure(running, config)
        else:
            await running.reload(config)
    except ConfigError as error:
        running.stats.config_reloads["refused"] += 1
        log.error("config_refused", problems=[str(p) for p in error.problems], then="the old one goes on")
    finally:
        notify.ready()


def outcome(running: Agent) -> int:
    """Say on standard error what a one-shot run left undone; return the exit code."""
    left = running.summary()
    troubled = {name: lane.stats.last_error for name, lane in running.lanes.items() if lane.stats.behind_bytes}
    for name, error in troubled.items():
        behind = running.lanes[name].stats.behind_bytes
        print(f"audit-agent: {name}: {behind} bytes undelivered: {error or 'stopped'}", file=sys.stderr)
    for name, source in running.sources.items():
        for error in source.catalog.errors.values():
            print(f"audit-agent: {name}: not read: {error}", file=sys.stderr)
    for name, stats in running.stats.lanes.items():
        if stats.rejected.total():
            print(f"audit-agent: {name}: {stats.rejected.total()} events refused, kept in rejects", file=sys.stderr)
    unread = any(source.catalog.errors or source.catalog.unfinished for source in running.sources.values())
    dead = any(lane.lane is None for lane in running.lanes.values())
    failed = (
        left["behind_bytes"] or left["rejected"] or left["lost_bytes"] or unread or dead or running.stats.state_error
    )
    return 1 if failed else 0
