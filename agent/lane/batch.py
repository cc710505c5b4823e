"""Blocks → transactions: by count, by bytes and by pace.

When the lane is idle, what there is goes at once; when it is busy, events are gathered until the transaction is full
or ``min_interval`` has passed since the last one left. No linger has to be tuned.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

import anyio

from agent.bodies import Wrapped, chained, lengths, total
from agent.events import Slice, Transaction

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from agent.events import Block
    from agent.lane.acks import Acks
    from agent.lane.queue import Queue


class Batcher:
    """Assembles transactions, one at a time, in the order of the queue."""

    def __init__(
        self, queue: Queue, acks: Acks, *, max_events: int | None, max_bytes: int, min_interval_seconds: float
    ) -> None:
        """Take blocks from ``queue``; every slice is opened in ``acks`` before it leaves."""
        self._queue = queue
        self._acks = acks
        self._max_events = max_events or 1 << 62
        self._max_bytes = max_bytes
        self._min_interval = min_interval_seconds
        self._last_sent = float("-inf")
        self._turn = anyio.Lock(fast_acquire=True)  # every transaction is a round trip: others have their turn
        self._block: Block | None = None
        self._at = 0
        self._ends: Sequence[int] | None = None
        """Bytes up to and including each event of the block in hand; None while nobody had to know."""

    async def next(self) -> Transaction | None:
        """Return the next transaction, waiting for events; None when there will be none."""
        async with self._turn:
            parts = _Parts()
            while True:
                self._fill(parts)
                if parts.count and self._full(parts):
                    break
                if not parts.count:
                    if not await self._queue.wait():
                        return None
                    continue
                remaining = self._last_sent + self._min_interval - anyio.current_time()
                if remaining <= 0 or self._queue.closed or self._queue.is_full:
                    break  # nothing may be gathered, or can be: the queue has no room before these are settled
                with anyio.move_on_after(remaining) as waited:
                    await self._queue.wait_for_more()
                if waited.cancelled_caught:
                    break
            self._last_sent = anyio.current_time()
            for step in parts.order:
                if isinstance(step, Slice):
                    self._acks.open(step)
                else:
                    self._acks.advance(step.stream, step.end)
            return Transaction(bodies=parts.bodies(), slices=parts.slices, size=parts.size, types=parts.types())

    def _full(self, parts: _Parts) -> bool:
        # An event waits that did not fit.
        return self._block is not None or parts.count >= self._max_events or parts.size >= self._max_bytes

    def _fill(self, parts: _Parts) -> None:
        """Add to ``parts`` what is there and fits."""
        while parts.count < self._max_events and (not parts.count or parts.size < self._max_bytes):
            if self._block is None and not self._take(parts):
                return
            block = self._block
            if block is None:
                continue
            start = self._at
            stop = min(len(block.bodies), start + self._max_events - parts.count)
            bodies, room = block.bodies[start:stop], self._max_bytes - parts.size
            size = block.size if stop - start == len(block.bodies) else total(bodies)
            if size > room and (stop > start + 1 or parts.count):
                stop = self._fitting(block, start, stop, room)
                if stop == start:
                    if parts.count:
                        return
                    stop = start + 1  # larger than a transaction may be: it travels alone
                bodies = block.bodies[start:stop]
                size = total(bodies)
            last = stop == len(block.bodies)
            parts.add(block, start, bodies, block.end if last else block.offsets[stop], size)
            self._at = stop
            if last:
                self._block = None

    def _fitting(self, block: Block, start: int, stop: int, room: int) -> int:
        """Return where the events from ``start`` on, at most to ``stop``, are more than ``room`` bytes."""
        if isinstance(block.bodies, Wrapped) and (known := block.bodies.fitting(start, stop, room)) is not None:
            return known
        if self._ends is None:
            self._ends = list(accumulate(lengths(block.bodies)))
        spent = self._ends[start - 1] if start else 0
        return bisect_right(self._ends, spent + room, start, stop)

    def _take(self, parts: _Parts) -> bool:
        """Take the next block in hand; one without events only moves its stream on."""
        block = self._queue.take()
        if block is None:
            return False
        if block.bodies:
            self._block, self._at, self._ends = block, 0, None
        elif parts.count:
            parts.order.append(block)
        else:
            self._acks.advance(block.stream, block.end)
        return True


class _Parts:
    """A transaction in the making."""

    __slots__ = ("_bodies", "_types", "count", "order", "size", "slices")

    def __init__(self) -> None:
        self._bodies: list[Sequence[bytes]] = []
        self.slices: list[Slice] = []
        self.order: list[Slice | Block] = []
        """Slices, and blocks without events between them, as they stand in their streams."""
        self.count = 0
        self.size = 0
        self._types: list[tuple[str | Sequence[str], int]] = []

    def add(self, block: Block, start: int, bodies: Sequence[bytes], end: int, size: int) -> None:
        stop = start + len(bodies)
        self._bodies.append(bodies)
        piece = Slice(stream=block.stream, offsets=block.offsets[start:stop], end=end)
        self.slices.append(piece)
        self.order.append(piece)
        self.count += stop - start
        self.size += size
        kinds = block.log_types
        self._types.append((kinds if isinstance(kinds, str) else kinds[start:stop], stop - start))

    def bodies(self) -> Sequence[bytes]:
        """Return the events, in order."""
        return chained(self._bodies)

    def types(self) -> str | Sequence[str]:
        """Return the subsystem of all events, or of each."""
        kinds = {kind for kind, _count in self._types if isinstance(kind, str)}
        if len(kinds) == 1 and all(isinstance(kind, str) for kind, _count in self._types):
            return kinds.pop()
        flat: list[str] = []
        for kind, count in self._types:
            flat += [kind] * count if isinstance(kind, str) else kind
        return flat


def count_types(types: str | Sequence[str], counter: Counter[str], number: int) -> None:
    """Add ``number`` events of ``types`` to ``counter``."""
    if isinstance(types, str):
        counter[types] += number
    else:
        counter.update(types)


def uncount_types(types: str | Sequence[str], counter: Counter[str], number: int) -> None:
    """Take ``number`` events of ``types`` off ``counter`` again."""
    if isinstance(types, str):
        counter[types] -= number
    else:
        counter.subtract(types)
