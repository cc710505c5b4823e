"""The command ``audit-agent``: one file per subcommand; the only place that prints and exits.

Exit codes: 0 done, 1 ran but something failed, 2 wrong usage or configuration.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from typing import TYPE_CHECKING

from agent import __version__
from agent.errors import AgentError, ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "run",
    "backfill",
    "check",
    "rejects",
    "reconcile",
    "destinations",
    "audits",
    "auth-audits",
    "collector",
    "demo",
)
"""Each is a module of this package, a dash an underscore, with ``add(subparsers)`` and ``run(arguments) -> int``."""


def parser(only: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the command line; of the one command named in ``only`` if it is one."""
    top = argparse.ArgumentParser(prog="audit-agent", description="Ships local audit events and loses none.")
    top.add_argument("--version", action="version", version=f"audit-agent {__version__}")
    subparsers = top.add_subparsers(metavar="COMMAND", required=True)
    for name in only if only and only[0] in COMMANDS else COMMANDS:
        importlib.import_module(f"agent.cli.{name.replace('-', '_')}").add(subparsers)
    return top


def quicken() -> None:
    """Take a quarter of the time out of starting.

    A program that imports makes much that lives on and few cycles. And structlog imports rich where it is installed,
    for tracebacks, and httpx rich and click, for a command of its own; this program has no use for either.
    """
    gc.set_threshold(50_000)
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # makes importing it fail
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment] # makes importing it fail
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    quicken()
    parsed = parser(given[:1]).parse_args(given)
    try:
        return int(parsed.run(parsed))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except UsageError as error:
        print(f"audit-agent: {error}", file=sys.stderr)
        return 2
    except AgentError as error:
        print(f"audit-agent: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        sys.stderr.close()
        return 1
