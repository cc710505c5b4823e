"""The bound on rejects: when there is no room, the oldest file goes, and that is said and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from agent.lane.rejects import folders
from agent.lane.rejects.record import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = structlog.get_logger(__name__)

MAX_BYTES = 256 << 20
FILE_SHARE = 16
"""A file is at most this part of the bound, so that at the bound little goes at once."""


def make_room(rejects: Path, wanted: int, *, max_bytes: int, dropped: Callable[[str, int], None]) -> None:
    """Remove the oldest files, of whichever destination, until ``wanted`` bytes fit in ``max_bytes``. Under the lock.

    ``dropped`` is told the destination and its number of events. Raises ``OSError`` when a file cannot be removed.
    """
    sizes = {path: path.stat().st_size for path in folders.all_files(rejects)}
    total = sum(sizes.values())
    for path, size in sizes.items():
        if total + wanted <= max_bytes:
            return
        _remove(path, size, max_bytes, dropped)
        total -= size


def _remove(path: Path, size: int, max_bytes: int, dropped: Callable[[str, int], None]) -> None:
    destination, events = path.parent.name, 0
    times: set[str] = set()
    with path.open("rb") as lines:
        for line in lines:
            events += 1
            if reject := decode(line):
                destination = reject.destination
                times = {min(times | {reject.time}), max(times | {reject.time})}
    # Removed before it is said: a file that cannot be removed must not be reported again and again.
    path.unlink()
    folders.half_written(path).unlink(missing_ok=True)
    log.error(
        "rejects_dropped",
        destination=destination,
        file=str(path),
        events=events,
        bytes=size,
        first=min(times, default=None),
        last=max(times, default=None),
        max_bytes=max_bytes,
    )
    dropped(destination, events)
    folders.fsync(path.parent)
