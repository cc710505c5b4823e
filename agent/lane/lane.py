"""The wiring of one destination's pipeline: reader → bounded queue → batcher → senders, with their acks.

Shutdown is the shape of ``run``: the inner group reads, the outer one sends. Leaving the inner group closes the
queue, the batcher sees its end and flushes, the senders finish; a grace bounds it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from agent.lane.acks import Acks
from agent.lane.batch import Batcher
from agent.lane.delivery import Delivery
from agent.lane.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.model import DestinationConfig
    from agent.destinations.base import Destination
    from agent.events import Block
    from agent.filters import EventFilter
    from agent.lane.delivery import RefusalSink
    from agent.stats import LaneStats


class Feed(Protocol):
    """Where a lane's blocks come from: the streams, read from the lane's cursors on."""

    async def next(self) -> Block | None:
        """Return the next block, waiting for one; None when there will be none. A block may hold no events."""
        ...


class Lane:
    """One destination's pipeline. ``acks`` says how far each stream is settled."""

    def __init__(
        self,
        config: DestinationConfig,
        *,
        destination: Destination,
        event_filter: EventFilter,
        feed: Feed,
        rejects: RefusalSink,
        stats: LaneStats,
        settled: Callable[[str, int], None] | None = None,
    ) -> None:
        """Wire the steps; nothing runs yet. ``settled`` is told of each (stream, settled prefix) that moved."""
        delivery = config.delivery
        self.acks = Acks(settled)
        self._senders = delivery.max_in_flight
        self._retry = delivery.retry
        self._destination = destination
        self._filter = event_filter
        self._feed = feed
        self._rejects = rejects
        self._stats = stats
        self._queue = Queue(delivery.queue_max_bytes, ahead_bytes=delivery.max_bytes)
        self._batcher = Batcher(
            self._queue,
            self.acks,
            max_events=config.max_events_per_transaction,
            max_bytes=delivery.max_bytes,
            min_interval_seconds=delivery.min_interval,
        )
        stats.queue_max_bytes = delivery.queue_max_bytes

    async def run(self, stop: anyio.Event, *, grace_seconds: Callable[[], float]) -> None:
        """Deliver until the feed ends or ``stop`` is set, then what was read, within the grace once stopped.

        What is unsettled when the grace is over is read again at the next start.
        """
        self._stats.state = "idle"
        async with anyio.create_task_group() as bounded:
            bounded.start_soon(_limit, stop, grace_seconds, bounded.cancel_scope)
            async with anyio.create_task_group() as sending:
                delivery = Delivery(
                    destination=self._destination,
                    retry=self._retry,
                    acks=self.acks,
                    queue=self._queue,
                    rejects=self._rejects,
                    stats=self._stats,
                    stop=stop,
                    tasks=sending,
                    in_flight=self._senders,
                )
                for _ in range(self._senders):
                    sending.start_soon(self._send, delivery)
                async with anyio.create_task_group() as reading:
                    reading.start_soon(_cancel_when, stop, reading.cancel_scope)
                    if not stop.is_set():  # else the first block could slip in before the cancellation
                        await self._read()
                    reading.cancel_scope.cancel()
                self._queue.close()
            bounded.cancel_scope.cancel()
        self._stats.state = "stopped"

    async def _read(self) -> None:
        stats = self._stats
        while (block := await self._feed.next()) is not None:
            wanted = self._filter.apply(block)
            await self._queue.put(wanted)
            stats.read += len(block.bodies)
            stats.filtered += len(block.bodies) - len(wanted.bodies)
            stats.queue_bytes = self._queue.used

    async def _send(self, delivery: Delivery) -> None:
        while (transaction := await self._batcher.next()) is not None:
            if not await delivery.deliver(transaction):
                return


async def _cancel_when(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _limit(stop: anyio.Event, grace_seconds: Callable[[], float], scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.deadline = anyio.current_time() + grace_seconds()
