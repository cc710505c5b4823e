"""``audit-agent reconcile``: prove that every line of the configured files is at a receiver.

Reads the files, rotated and compressed ones too, and the receiver; sends and changes nothing, also beside a running
agent. What the destination has not been sent yet is said apart from what is missing.
Exit codes: 0 nothing is missing, 1 something is, or could not be looked at or checked, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from agent.cli.common import add_config, add_logging, configure_logging, run_async

if TYPE_CHECKING:
    from agent.config.model import Config
    from agent.reconcile.report import Report


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "reconcile",
        help="prove that every line of the files is at a receiver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config(parser)
    add_logging(parser)
    parser.add_argument("--against", metavar="URL_OR_FILE", help="a collector, or the file of a file destination")
    parser.add_argument(
        "--destination", metavar="NAME", help="whose filters, rejects and cursors count (default: the one at --against)"
    )
    parser.add_argument("--source", action="append", metavar="NAME", help="only this source; may be repeated")
    parser.add_argument(
        "--token-file", metavar="FILE", help="bearer token for the collector (default: the destination's credentials)"
    )
    parser.add_argument("--strict", action="store_true", help="what is not sent yet or was skipped is missing, too")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, and return the exit code."""
    from agent.cli import reconcile_view
    from agent.config.secrets import Secret
    from agent.reconcile.run import reconcile
    from agent.reconcile.targets import target
    from agent.validate import load_for_run

    config = _narrowed(load_for_run(arguments.config), arguments.source)
    configure_logging(arguments, None, level="error")
    token = Secret(f"${{file:{arguments.token_file}}}") if arguments.token_file else None
    aim = target(config, against=arguments.against, destination=arguments.destination, token=token)
    reports: list[Report] = []

    async def main() -> None:
        reports.append(await reconcile(config, against=aim.name, destination=aim.destination, open_receiver=aim.open))

    run_async(main)
    (report,) = reports
    (reconcile_view.as_json if arguments.json else reconcile_view.as_text)(report, strict=arguments.strict)
    return 0 if report.complete(strict=arguments.strict) else 1


def _narrowed(config: Config, names: list[str] | None) -> Config:
    """Leave only the sources that were asked for, of those that read files."""
    import msgspec

    from agent.config.model import FileSourceConfig
    from agent.errors import UsageError

    files = [source for source in config.sources if isinstance(source, FileSourceConfig)]
    allowed = [source.name for source in files]
    for name in names or ():
        if name not in allowed:
            raise UsageError(f"--source: found {name!r}; allowed: {', '.join(allowed) or 'a source of files'}")
    kept = [source for source in files if names is None or source.name in names]
    if not kept:
        raise UsageError(
            "the configuration has no source of type file; what was pushed is kept nowhere to compare with"
        )
    return msgspec.structs.replace(config, sources=kept)
