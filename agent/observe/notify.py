"""What the service manager is told, by the sd_notify protocol; without one every call does nothing."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)


def notify(*assignments: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``NAME=value`` assignments to the manager in one message; True when there is one and it took them.

    A manager that does not listen costs a debug line, never the shipping.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        # The abstract namespace: no file, the name starts with a zero byte.
        address = "\0" + address[1:]
    message = "\n".join(a.replace("\n", " ") for a in assignments).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto(message, address)
    except OSError as error:
        log.debug("notify_failed", error=str(error))
        return False
    return True


def ready(status: str = "", *, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that the start, or a reload, is complete."""
    return notify("READY=1", *([f"STATUS={status}"] if status else []), environ=environ)


def reloading(*, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that the configuration is being read again; ``ready`` ends it."""
    return notify(
        "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}", environ=environ
    )


def stopping(status: str = "", *, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that the agent drains."""
    return notify("STOPPING=1", *([f"STATUS={status}"] if status else []), environ=environ)


def status(text: str, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Set the line that ``systemctl status`` shows."""
    return notify(f"STATUS={text}", environ=environ)


def still_starting(seconds: float, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Ask for ``seconds`` more before the start counts as failed: looking at many files takes its time."""
    return notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", environ=environ)


def watchdog(*, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell that the agent works; due within every ``watchdog_seconds``."""
    return notify("WATCHDOG=1", environ=environ)


def watchdog_seconds(*, environ: Mapping[str, str] = os.environ) -> float | None:
    """Return within how many seconds the manager wants each ``watchdog``; None when it does not watch this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 else None
