"""What the scenarios of a running daemon share: a contestant started on files, and waiting for what it delivers."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import common, job
from bench.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.sinks import Sink

PER_TRANSACTION = 500


def start(who: str, folder: Path, include: str, receiving: Sink) -> Process | None:
    """Start ``who`` on the files ``include``, for the first time or again; None when it is not to be had here."""
    if who == "agent":
        config = common.configuration(folder, include=include, urls=[receiving.url], per_transaction=PER_TRANSACTION)
        return Process(common.agent("run", "-c", str(config)))
    command = job.peer(who, folder, include, receiving, PER_TRANSACTION)
    if command is None:
        return None
    return Process(command.arguments, environment=command.environment, log=folder / "peer.log")


@contextmanager
def running(who: str, folder: Path, include: str, receiving: Sink) -> Iterator[Process | None]:
    """Run ``who`` while the block runs."""
    process = start(who, folder, include, receiving)
    try:
        yield process
    finally:
        if process:
            process.stop()


def await_distinct(receiving: Sink, count: int, *, quiet_seconds: float = 60.0) -> bool:
    """Wait until ``count`` different lines have come; False when nothing more comes for ``quiet_seconds``."""
    before, changed = -1, time.monotonic()
    while time.monotonic() - changed < quiet_seconds:
        told = receiving.stats()
        if told["distinct"] >= count:
            return True
        if told["events"] != before:
            before, changed = told["events"], time.monotonic()
        time.sleep(0.02)
    return False
