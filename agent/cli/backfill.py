"""``audit-agent backfill``: ship existing files once, rotated and compressed ones too; resumable, same ids as live."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.common import add_config, add_logging, add_patience, completed, configure_logging, moment, run_async

if TYPE_CHECKING:
    import argparse

    from agent.app.options import Options
    from agent.config.model import Config


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "backfill", help="ship existing files once, rotated and compressed ones included", description=__doc__
    )
    add_config(parser)
    add_logging(parser)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these files (default: what the sources match)")
    parser.add_argument("--since", type=moment, metavar="TIME", help="only events at or after this time")
    parser.add_argument("--until", type=moment, metavar="TIME", help="only events before this time")
    parser.add_argument("--destination", action="append", metavar="NAME", help="only to this one; may be repeated")
    parser.add_argument(
        "--source", metavar="NAME", help="read the PATHs as this source does (default: the one that matches)"
    )
    parser.add_argument("--dry-run", action="store_true", help="read, parse and filter everything, send nothing")
    parser.add_argument("--no-progress", action="store_true", help="plain lines even on a terminal")
    add_patience(parser, "give a destination up that delivers nothing for this long")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ship, show progress, say what is left; returns the exit code."""
    import structlog

    from agent.app.agent import Agent
    from agent.cli import progress
    from agent.cli.run import outcome, stop_on_signals
    from agent.validate import load_for_run

    config = _narrowed(completed(load_for_run(arguments.config)), arguments)
    configure_logging(arguments, config, level="warning")
    options = _options(arguments)
    running = Agent(config, options=options)

    async def main() -> None:
        import anyio

        async with anyio.create_task_group() as group:
            await group.start(stop_on_signals, running)
            group.start_soon(progress.show, running, not arguments.no_progress)
            await running.run()
            group.cancel_scope.cancel()

    run_async(main)
    code = outcome(running)
    done = running.summary()
    verb = "would send" if arguments.dry_run else "accepted"
    print(
        f"backfill: {done['accepted']} events {verb}, {done['filtered']} filtered out,"
        f" {done['rejected']} rejected, {done['behind_bytes']} bytes left",
        file=sys.stderr,
    )
    structlog.get_logger(__name__).info("backfill_finished", exit_code=code, **done)
    return code


def _narrowed(config: Config, arguments: argparse.Namespace) -> Config:
    """Leave only the sources and destinations that were asked for; a name that does not exist is wrong usage."""
    import msgspec

    from agent.config.model import FileSourceConfig
    from agent.errors import UsageError

    names = [d.name for d in config.destinations]
    for name in arguments.destination or ():
        if name not in names:
            raise UsageError(f"--destination: found {name!r}; allowed: {', '.join(names)}")
    # What was pushed is the running agent's; only files can be read again.
    sources = [s for s in config.sources if isinstance(s, FileSourceConfig)]
    if arguments.source:
        allowed = ", ".join(s.name for s in sources) or "a source of files"
        sources = [s for s in sources if s.name == arguments.source]
        if not sources:
            raise UsageError(f"--source: found {arguments.source!r}; allowed: {allowed}")
    if arguments.paths:
        sources = _matching(sources, arguments.paths, anyhow=bool(arguments.source))
    # Everything that exists is what a backfill is for, whatever a live start skips.
    sources = [msgspec.structs.replace(s, start_at="beginning") for s in sources]
    return msgspec.structs.replace(config, sources=sources)


def _matching(sources: list, paths: list[str], *, anyhow: bool) -> list:  # type: ignore[type-arg]
    """Return the sources that read ``paths``; each path must exist and belong to one of them."""
    from agent.errors import UsageError
    from agent.streams.discover import Patterns

    used = []
    for text in paths:
        path = Path(text).absolute()
        if not path.is_file():
            raise UsageError(f"{text}: no such file; allowed: existing files")
        owners = [s for s in sources if anyhow or Patterns(s.include, s.exclude).matches(str(path))]
        if not owners:
            raise UsageError(
                f"{text}: no source matches it; name one with --source: {', '.join(s.name for s in sources)}"
            )
        used.append(owners[0])
    return list({s.name: s for s in used}.values())


def _options(arguments: argparse.Namespace) -> Options:
    from agent.app.options import Options, Window

    paths = tuple(str(Path(p).absolute()) for p in arguments.paths) or None
    bounded = arguments.since or arguments.until
    # A stopped backfill goes on where it was when it is asked for the same again.
    job = "\0".join(map(str, (paths, arguments.since, arguments.until, sorted(arguments.destination or ()))))
    return Options(
        one_shot=True,
        patience_seconds=arguments.patience,
        database="backfill.db",
        catalog="state.db",
        paths=paths,
        destinations=frozenset(arguments.destination) if arguments.destination else None,
        cursor_prefix=f"backfill-{hashlib.sha256(job.encode()).hexdigest()[:16]}:",
        forget_when_done=True,
        dry_run=arguments.dry_run,
        window=Window(since=arguments.since, until=arguments.until) if bounded else None,
    )
