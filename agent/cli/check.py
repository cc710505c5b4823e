"""``audit-agent check``: everything that is wrong with a configuration, without running or writing anything."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agent.cli.check_sources import look_at
from agent.cli.common import add_config
from agent.errors import ConfigError, Problem

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from agent.cli.check_sources import Found
    from agent.config.model import Config


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("check", help="validate a configuration", description=__doc__)
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument(
        "--connect",
        action="store_true",
        help="also connect to each destination and try the addresses of sources; exits 1 if one cannot be had",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the file; returns 0, 2 when it has problems, 1 when only connecting failed."""
    from agent.validate import load_checked

    problems: Sequence[Problem]
    warnings: Sequence[Problem] = ()
    config: Config | None = None
    try:
        loaded = load_checked(arguments.config)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ConfigError(loaded.problems).problems
        warnings = sorted(loaded.warnings, key=lambda p: p.line)
        config = None if problems else loaded.config
    sources = look_at(config, connect=arguments.connect) if config else []
    reached = _connect(config) if arguments.connect and config else {}
    failed = any(reached.values()) or any(source.fails for source in sources)
    code = 2 if problems else 1 if failed else 0
    if arguments.json:
        _print_json(code, problems, warnings, sources, reached)
    else:
        _print_lines(arguments.config, problems, warnings, sources, reached)
    return code


def _connect(config: Config) -> dict[str, str | None]:
    """Return per enabled destination why it cannot be reached, None for one that can."""
    import anyio

    from agent.destinations.probe import probe

    async def probe_all() -> dict[str, str | None]:
        outcomes: dict[str, str | None] = {}

        async def one(index: int) -> None:
            destination = config.destinations[index]
            outcomes[destination.name] = await probe(destination)

        async with anyio.create_task_group() as group:
            for index, destination in enumerate(config.destinations):
                if destination.enabled:
                    group.start_soon(one, index)
        return {d.name: outcomes[d.name] for d in config.destinations if d.enabled}

    return anyio.run(probe_all)


def _print_lines(
    file: str,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    sources: Sequence[Found],
    reached: dict[str, str | None],
) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    for warning in warnings:
        text = f"{warning.file}:{warning.line}: warning: {warning.key}: {warning.found}; {warning.allowed}"
        print(text, file=sys.stderr)
    for source in sources:
        print(source.text)
    for name, error in reached.items():
        print(f"destination {name}: {'reachable' if error is None else f'NOT reachable: {error}'}")
    print(f"{file}: {len(problems)} problem(s), {len(warnings)} warning(s)")


def _print_json(
    code: int,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    sources: Sequence[Found],
    reached: dict[str, str | None],
) -> None:
    report: dict[str, Any] = {
        "ok": code == 0,
        "problems": [_as_object(problem) for problem in problems],
        "warnings": [_as_object(warning) for warning in warnings],
        "sources": [source.members for source in sources],
        "destinations": [{"name": name, "error": error} for name, error in reached.items()],
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))


def _as_object(problem: Problem) -> dict[str, Any]:
    names = ("file", "line", "key", "found", "allowed")
    return {name: getattr(problem, name) for name in names}
