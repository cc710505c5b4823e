"""Frees the spools of what every lane is past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.sources.base import Source
    from agent.sources.feed import Feed
    from agent.streams.stream import Stream

SWEEP_SECONDS = 0.2


async def sweep(sources: Mapping[str, Source], feeds: Callable[[], Sequence[Feed] | None]) -> None:
    """Sweep a few times a second until cancelled.

    ``feeds`` gives those of all lanes, None while some of them are being replaced: a lane that is away for a moment
    has not given up what it did not read. With no lane at all everything stays: someone may want it later.
    """
    while True:
        await anyio.sleep(SWEEP_SECONDS)
        there = feeds()
        if not there:
            continue

        def past(stream: Stream, lanes: Sequence[Feed] = there) -> bool:
            return all(feed.is_past(stream) for feed in lanes)

        for source in list(sources.values()):
            if source.lines.scanned.is_set():
                for gone in source.sweep(past):
                    for feed in there:
                        feed.forget(gone)
