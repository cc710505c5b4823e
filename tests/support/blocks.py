"""Blocks of numbered events, one byte of the stream per event unless told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.events import Block, unique_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def event(stream: str, offset: int, size: int = 0) -> bytes:
    """Return the envelope of the event at ``offset``, padded to at least ``size`` bytes."""
    head = b'{"unique_id":"%s","event":{"pad":"' % unique_id(stream, offset).encode()
    return head + b"x" * (size - len(head) - 3) + b'"}}'


def block(
    start: int,
    count: int,
    *,
    stream: str = "s",
    size: int = 0,
    end: int | None = None,
    types: str | Sequence[str] = "logs",
) -> Block:
    """Return ``count`` events at the offsets from ``start`` on; the block ends behind the last one or at ``end``."""
    bodies = [event(stream, start + i, size) for i in range(count)]
    return Block(
        stream=stream,
        source="test",
        start=start,
        end=start + count if end is None else end,
        offsets=range(start, start + count),
        bodies=bodies,
        log_types=types,
        size=sum(map(len, bodies)),
    )
