"""Events that a destination wants again while it takes the others: they wait aside, each transaction's by itself.

A receiver that answers for each event has taken later ones already, so there is no order left to keep by making the
whole lane wait (WIRE 4.4, rule 7). What is deferred counts in the queue, which bounds it, and holds back the cursor.
With a hint of the receiver nothing is deferred: then the whole lane leaves it alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.backoff import FullJitter
from agent.destinations.base import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from agent.config.model import Retry
    from agent.destinations.base import Failure
    from agent.events import Slice, Transaction
    from agent.stats import LaneStats

log = structlog.get_logger(__name__)

SAID_SECONDS = 60.0
OFFSET_BYTES = 40
"""What it costs to know where one event of the original transaction stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Events to be delivered, and where they stood in the transaction that the lane took them up in."""

    transaction: Transaction
    """What is to be sent still."""
    slices: Sequence[Slice]
    """Of the original."""
    count: int
    """Events of the original."""
    indices: Sequence[int]
    """``transaction``'s event ``i`` is the original's event ``indices[i]``; ascending."""
    charge: int
    """Bytes counted in the queue."""
    tries: int = 0
    """How often events of it were deferred."""

    @classmethod
    def of(cls, transaction: Transaction) -> Work:
        """Return the work that a whole transaction is."""
        count = len(transaction)
        return cls(
            transaction=transaction,
            slices=transaction.slices,
            count=count,
            indices=range(count),
            charge=transaction.size,
        )

    def rest(self, left: Sequence[int]) -> Work:
        """Return what is left when of ``transaction`` only the events at ``left`` (ascending) are unsettled."""
        transaction = self.transaction.pick(left)
        return Work(
            transaction=transaction,
            slices=self.slices,
            count=self.count,
            indices=[self.indices[i] for i in left],
            charge=transaction.size + OFFSET_BYTES * self.count,
            tries=self.tries + 1,
        )


class Deferred:
    """The deferred events of one lane."""

    def __init__(
        self,
        retry: Retry,
        *,
        stats: LaneStats,
        stop: anyio.Event,
        tasks: TaskGroup,
        deliver: Callable[[Work], Awaitable[bool]],
    ) -> None:
        """Hand what has waited to ``deliver``, in a task of ``tasks``. Once ``stop`` is set nothing is sent again."""
        self._jitter = FullJitter(base=retry.base, cap=retry.cap)
        self._stats = stats
        self._stop = stop
        self._tasks = tasks
        self._deliver = deliver
        self._unsaid = 0
        self._said_at = float("-inf")

    @staticmethod
    def takes(work: Work, failure: Failure, *, left: int, of: int) -> bool:
        """Tell whether to defer the ``left`` events that are unsettled after an attempt at ``of`` events.

        A destination that took none of a fresh transaction is in trouble itself.
        """
        each_was_answered = failure.kind is Kind.NOT_NOW and failure.status is not None and failure.status < 300
        return each_was_answered and not failure.retry_after_seconds and (left < of or work.tries > 0)

    def put(self, work: Work, failure: Failure) -> None:
        """Deliver ``work`` after a back-off."""
        now = time.monotonic()
        self._stats.last_error = failure.reason
        count = len(work.transaction)
        self._unsaid += count
        self._stats.wanted_again += count
        self._stats.deferred += count
        if now - self._said_at >= SAID_SECONDS:
            log.warning(
                "events_wanted_again",
                destination=self._stats.destination,
                events=self._unsaid,
                reason=failure.reason,
                tries=work.tries,
                then="they are sent again after a back-off; others go on meanwhile",
            )
            self._unsaid, self._said_at = 0, now
        self._tasks.start_soon(self._later, work)

    async def _later(self, work: Work) -> None:
        try:
            with anyio.move_on_after(self._jitter.seconds(work.tries)):
                await self._stop.wait()
            if not self._stop.is_set():
                await self._deliver(work)
        finally:
            self._stats.deferred -= len(work.transaction)
