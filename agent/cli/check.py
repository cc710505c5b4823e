"""``audit-agent check``: everything that is wrong with a configuration, without running or writing anything."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from agent.cli.check_sources import look_at
from agent.cli.common import add_config
from agent.cli.reach import Reached, reach
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
        help="also connect to each destination and try the addresses of sources; exits 1 if one cannot be had,"
        " 2 if a destination of the API cannot be run as it is",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the file; returns 0, 2 when it or a destination of the API has problems, 1 when only connecting failed."""
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
    reached = reach(config) if arguments.connect and config else Reached()
    failed = reached.failed or any(source.fails for source in sources)
    code = 2 if problems or reached.unusable else 1 if failed else 0
    if arguments.json:
        _print_json(code, problems, warnings, sources, reached)
    else:
        _print_lines(arguments.config, problems, warnings, sources, reached)
    return code


def _print_lines(
    file: str,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    sources: Sequence[Found],
    reached: Reached,
) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    for warning in warnings:
        text = f"{warning.file}:{warning.line}: warning: {warning.key}: {warning.found}; {warning.allowed}"
        print(text, file=sys.stderr)
    for source in sources:
        print(source.text)
    if reached.control_plane:
        print(f"control plane: NOT reachable: {reached.control_plane}")
    for name, error in reached.destinations.items():
        trouble = "NOT usable" if name in reached.unusable else "NOT reachable"
        print(f"destination {name}: {'reachable' if error is None else f'{trouble}: {error}'}")
    print(f"{file}: {len(problems)} problem(s), {len(warnings)} warning(s)")


def _print_json(
    code: int,
    problems: Sequence[Problem],
    warnings: Sequence[Problem],
    sources: Sequence[Found],
    reached: Reached,
) -> None:
    report: dict[str, Any] = {
        "ok": code == 0,
        "problems": [_as_object(problem) for problem in problems],
        "warnings": [_as_object(warning) for warning in warnings],
        "sources": [source.members for source in sources],
        "destinations": [{"name": name, "error": error} for name, error in reached.destinations.items()],
        "control_plane": {"error": reached.control_plane},
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))


def _as_object(problem: Problem) -> dict[str, Any]:
    names = ("file", "line", "key", "found", "allowed")
    return {name: getattr(problem, name) for name in names}
