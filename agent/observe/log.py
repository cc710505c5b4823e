"""Logging: events with fields, one JSON line each on standard error; for people when it is a terminal.

The level says what it means for the data: DEBUG per transaction, INFO lifecycle, WARNING odd but nothing lost, ERROR
lost or needs a person.
"""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import structlog

from agent.observe.redact import mask_fields

if TYPE_CHECKING:
    from typing import TextIO

    from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_CONTROLS = {i: f"\\x{i:02x}" for i in (*range(32), 127, *range(128, 160)) if chr(i) not in "\n\t"}


def configure(*, level: str, format: str, stream: TextIO | None = None) -> None:  # noqa: A002 # the option's name
    """Send all logging of this process to ``stream`` (default: standard error). Call it once, at the start.

    ``level`` is ``debug``, ``info``, ``warning`` or ``error``; ``format`` is ``json``, ``console`` or ``auto``:
    console on a terminal, else JSON lines with ``timestamp`` (RFC 3339, UTC), ``level``, ``logger``, ``event`` and
    the event's fields. Secrets are masked. Libraries are heard from WARNING on: below it httpcore prints headers.
    """
    out = stream or sys.stderr
    console = format == "console" or (format == "auto" and out.isatty())
    common: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _arrange,
    ]
    rendering: list[Processor] = [_escape_controls, _console(out)] if console else [structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*common, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=_Writers(out),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(max(LEVELS[level], logging.WARNING), out, common, rendering)


def _console(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )


def _configure_libraries(level: int, out: TextIO, common: list[Processor], rendering: list[Processor]) -> None:
    """Bring what libraries log through ``logging`` into the same form."""
    handler = _Handler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _arrange(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets, and put what every line has first."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "logger") if name in event}
    kept = {name: event.pop(name) for name in ("_record", "_from_structlog") if name in event}
    return {**first, "event": "", **mask_fields(event), **kept}


def _escape_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep a file's name or a server's words from steering the terminal."""
    return {name: value.translate(_CONTROLS) if isinstance(value, str) else value for name, value in event.items()}


class _Writers:
    """Makes the writer of each named logger."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def __call__(self, *arguments: object) -> _Writer:
        return _Writer(str(arguments[0]) if arguments else "agent", self._out, self._lock)


class _Writer:
    """Writes rendered lines. A log nobody can take any more must not stop the shipping."""

    def __init__(self, name: str, out: TextIO, lock: threading.Lock) -> None:
        self.name = name
        self._out = out
        self._lock = lock

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                self._out.write(line + "\n")
                self._out.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = log = msg


class _Handler(logging.StreamHandler["TextIO"]):
    """Like ``_Writer``: says nothing about its own trouble."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 # logging's name
        return
