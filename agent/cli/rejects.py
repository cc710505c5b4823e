"""``audit-agent rejects``: look at what destinations refused for good, send it again, or drop it.

Works while the agent runs. Conditions that are given together must all be met; without any, every reject is meant.
Exit codes: 0 done (replay: everything was accepted), 1 something failed or was refused again, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

import anyio

from agent.cli.common import add_config, add_logging, add_patience, completed, configure_logging, moment, run_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from agent.config.model import Config


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command with its actions."""
    parser = subparsers.add_parser(
        "rejects",
        help="list, show, send again or drop what destinations refused",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    each = _action(actions, "list", _list, "a line for each, without the events")
    each.add_argument("--json", action="store_true", help="a JSON object a line")
    each.add_argument("--summary", action="store_true", help="counts for each destination and reason")
    each = _action(actions, "show", _show, "each with the event and the destination's answer")
    each.add_argument("--json", action="store_true", help="a JSON object a line, as they are stored")
    each = _action(actions, "replay", _replay, "send them again; what is accepted leaves the rejects")
    add_logging(each)
    add_patience(each, "give a destination up that takes nothing for this long; the rest stays")
    each.add_argument(
        "--to", metavar="NAME", help="to this destination instead of the one that refused them, as after a rename"
    )
    each = _action(actions, "drop", _drop, "remove them for good")
    each.add_argument("--yes", action="store_true", help="do not ask")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    add_config(parser)
    parser.add_argument("--destination", metavar="NAME", help="only of this destination")
    parser.add_argument("--reason", metavar="TEXT", help="part of the drop counter or of the reason, or the status")
    parser.add_argument("--since", type=moment, metavar="TIME", help="refused at or after this time")
    parser.add_argument("--until", type=moment, metavar="TIME", help="refused before this time")
    parser.add_argument("--id", metavar="UNIQUE_ID", help="only of the event with this id")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the first N, oldest file first")
    parser.set_defaults(run=_guarded, action=run)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a whole number from 1 on")
    return int(text)


def _guarded(arguments: argparse.Namespace) -> int:
    """Run the action; a file that cannot be read or written is an error with its name, not a traceback."""
    from agent.errors import StateError

    try:
        return int(arguments.action(arguments))
    except PermissionError as error:
        raise StateError(f"{error.filename}: {error.strerror}; run it as the agent's user or as root") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StateError(f"rejects: {error.filename or ''} {error.strerror or error}") from error


def _list(arguments: argparse.Namespace) -> int:
    from agent.cli import rejects_view
    from agent.cli.rejects_find import find, say_homeless
    from agent.validate import load_for_run

    config = load_for_run(arguments.config)
    found = find(arguments, config)
    (rejects_view.summary if arguments.summary else rejects_view.listing)(found, as_json=arguments.json)
    say_homeless(found, config)
    return _say(f"{len(found)} rejects")


def _show(arguments: argparse.Namespace) -> int:
    from agent.cli import rejects_view
    from agent.cli.rejects_find import find, say_homeless
    from agent.validate import load_for_run

    config = load_for_run(arguments.config)
    found = find(arguments, config)
    rejects_view.show(found, as_json=arguments.json)
    say_homeless(found, config)
    return _say(f"{len(found)} rejects")


def _drop(arguments: argparse.Namespace) -> int:
    from agent.cli.rejects_find import find
    from agent.errors import UsageError
    from agent.lane.rejects.rewrite import rewrite
    from agent.validate import load_for_run

    found = find(arguments, load_for_run(arguments.config))
    if found and not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError("drop: nobody can be asked; allowed: --yes, or a terminal")
        print(f"Drop {len(found)} rejects for good? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            _say("nothing dropped")
            return 1
    # What was looked at, and nothing that has come since.
    return _say(f"{rewrite(dict.fromkeys(each.key for each in found))} rejects dropped")


def _replay(arguments: argparse.Namespace) -> int:
    from agent.app.replay import Result, replay
    from agent.cli.rejects_find import find
    from agent.validate import load_for_run

    config = completed(load_for_run(arguments.config))
    configure_logging(arguments, None, level="warning")
    _check_to(arguments, config)
    found = find(arguments, config)
    results: list[Result] = []

    async def main() -> None:
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            await group.start(_stop_on_signals, stop)
            results.extend(await replay(config, found, to=arguments.to, patience_seconds=arguments.patience, stop=stop))
            group.cancel_scope.cancel()

    run_async(main)
    for result in results:
        if result.error:
            print(f"audit-agent: {result.destination}: {result.left} not sent: {result.error}", file=sys.stderr)
    accepted, refused = sum(r.accepted for r in results), sum(r.refused for r in results)
    left = sum(r.left for r in results)
    _say(f"{len(found)} rejects: {accepted} accepted, {refused} refused again, {left} not delivered")
    return 1 if refused or left else 0


def _check_to(arguments: argparse.Namespace, config: Config) -> None:
    from agent.errors import UsageError

    names = sorted(destination.name for destination in config.destinations)
    if arguments.to is not None and arguments.destination is None:
        raise UsageError("--to: found no --destination; allowed: together with the name the rejects are kept under")
    if arguments.to is not None and arguments.to not in names:
        raise UsageError(f"--to: found {arguments.to!r}; allowed: {', '.join(names)}")


async def _stop_on_signals(stop: anyio.Event, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for number in received:
            if stop.is_set():
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            stop.set()


def _say(text: str) -> int:
    print(f"rejects: {text}", file=sys.stderr)
    return 0
