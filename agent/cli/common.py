"""What several commands share: options, times, logging."""

from __future__ import annotations

import argparse
import importlib.util
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.config.model import Config

DEFAULT_CONFIG = "/etc/audit-agent/config.yaml"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``-c FILE``."""
    parser.add_argument("-c", "--config", metavar="FILE", default=DEFAULT_CONFIG, help="default: %(default)s")


def add_logging(parser: argparse.ArgumentParser) -> None:
    """Add ``--log-level`` and ``--log-format``, which win over the configuration."""
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", choices=("auto", "json", "console"))


def add_patience(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--patience``, explained by ``text``: seconds as a float."""
    help_ = f"{text} (default: 60s)"
    parser.add_argument("--patience", type=seconds, default=60.0, metavar="DURATION", help=help_)


def configure_logging(arguments: argparse.Namespace, config: Config | None, *, level: str = "info") -> None:
    """Set up logging from the command line, else the configuration, else ``level``."""
    from agent.observe import log

    own = config.agent if config else None
    log.configure(
        level=arguments.log_level or (own.log_level if own else level),
        format=arguments.log_format or (own.log_format if own else "auto"),
    )


def completed(config: Config) -> Config:
    """Return ``config`` with the destinations of the API, where it asks for them. Raises ``ApiError``."""
    import anyio

    from agent.app.remote_list import complete, wanted

    return anyio.run(complete, config) if wanted(config) else config


def run_async(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run on asyncio; the error of one task surfaces as itself, not as a group of one."""
    import anyio

    from agent.app.memory import allow_many_files, tune

    tune()
    allow_many_files()
    try:
        anyio.run(main, backend_options={"use_uvloop": _has_uvloop()})
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


def _has_uvloop() -> bool:
    # A fifth to a quarter less CPU for each request than asyncio's own loop; not made for every platform.
    return importlib.util.find_spec("uvloop") is not None


def moment(text: str) -> datetime:
    """Parse a time as the API's dates are written: RFC 3339, a date, ``now-2h``, ``3d ago``. For argparse."""
    from agent.api.dates import ALLOWED, DateError
    from agent.api.dates import moment as read

    try:
        found = read(text, now=datetime.now(UTC))
    except DateError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; allowed: {ALLOWED}")
    return found


def seconds(text: str) -> float:
    """Parse a duration with a unit, as in the configuration. For argparse."""
    from agent.config.units import parse_seconds

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
