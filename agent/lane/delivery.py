"""The delivery policy, in one place: attempts → settled events, and the three kinds of failure between them.

not now           tried again for ever, after a back-off or the destination's own hint
this destination  the lane pauses and probes slowly; nothing is dropped
this event        written to rejects with the reason, then settled

An attempt that raises is none of them at first: ``suspects`` says whose fault it is. Events that a destination wants
again while it takes the others are deferred: they wait by themselves (WIRE 4.4, rule 7).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
import structlog

from agent.destinations.base import Answer, Failure, Kind, Refusal, all_pending
from agent.lane.batch import count_types, uncount_types
from agent.lane.deferred import Deferred, Work
from agent.lane.retry import Backoff, Gate
from agent.lane.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from agent.config.model import Retry
    from agent.destinations.base import Destination
    from agent.events import Transaction
    from agent.lane.acks import Acks
    from agent.lane.queue import Queue
    from agent.stats import LaneStats

log = structlog.get_logger(__name__)


class RefusalSink(Protocol):
    """Where refused events are kept: files of rejects, or what a replay makes of them."""

    @property
    def folder(self) -> Path:
        """Where the files are, for messages."""
        ...

    async def put(self, transaction: Transaction, refused: Mapping[int, Refusal]) -> None:
        """Keep the refused events of ``transaction``; they are safe when this returns. Raises ``OSError``."""
        ...


class Delivery:
    """Delivers transactions of one lane, several at a time if there are several senders."""

    def __init__(
        self,
        *,
        destination: Destination,
        retry: Retry,
        acks: Acks,
        queue: Queue,
        rejects: RefusalSink,
        stats: LaneStats,
        stop: anyio.Event,
        tasks: TaskGroup,
        in_flight: int = 1,
    ) -> None:
        """Send to ``destination``, at most ``in_flight`` requests at a time; what is deferred waits in ``tasks``.

        Once ``stop`` is set no wait is sat out any more.
        """
        self._destination = destination
        self._backoff = Backoff(retry)
        self._gate = Gate()
        self._acks = acks
        self._queue = queue
        self._rejects = rejects
        self._stats = stats
        self._stop = stop
        self._slots = anyio.Semaphore(in_flight, fast_acquire=True)
        self._deferred = Deferred(retry, stats=stats, stop=stop, tasks=tasks, deliver=self._deliver)
        self._trouble: str | None = None
        self._raised: str | None = None
        self._given_up_at = -1
        """How many events were accepted when some were last given up without a witness."""

    async def deliver(self, transaction: Transaction) -> bool:
        """Send ``transaction`` until each event is settled or deferred; False when stopped before."""
        return await self._deliver(Work.of(transaction))

    async def _deliver(self, work: Work) -> bool:
        transaction = work.transaction
        pending: Sequence[int] = range(len(transaction))
        groups: list[Sequence[int]] = [pending]
        suspects = Suspects(self._stats.accepted)
        while pending:
            groups = groups or self._suspected(suspects)
            group = groups.pop(0)
            part = transaction if len(group) == len(transaction) else transaction.pick(group)
            async with self._slots:
                if not await self._gate.passed(self._stop):
                    return False
                held = self._gate.holds
                answer = await self._attempt(part)
            answer = self._judged(suspects, group, self._without_smaller(part, answer))
            while answer.rejected and not await self._keep(part, answer):
                if not await self._gate.passed(self._stop):
                    return False
            left = [group[i] for i in answer.pending]
            if len(left) < len(group):
                pending = _without(pending, group, left)
                self._settle(work, part, answer, pending)
            if left:
                failure = answer.failure or _UNEXPLAINED
                if len(left) < len(part) - len(answer.rejected):
                    self._backoff.reset()  # something was delivered: the destination works, only not at this rate
                if not (groups or suspects) and self._deferred.takes(work, failure, left=len(left), of=len(part)):
                    rest = work.rest(left)
                    self._release(work.charge - rest.charge)
                    self._deferred.put(rest, failure)
                    return True
                if failure.kind is Kind.RAISED and len(left) == 1:
                    suspects.add(left[0], self._stats.accepted)
                else:
                    groups[:0] = self._again(failure, left, counted=self._gate.holds > held)
        if not suspects:
            self._raised = None
        self._release(work.charge)
        return True

    def _release(self, size: int) -> None:
        self._queue.release(size)
        self._stats.queue_bytes = self._queue.used

    async def _attempt(self, part: Transaction) -> Answer:
        self._stats.retry_at = None
        if self._trouble is None:  # a probe of a destination in trouble does not look like work
            self._stats.state = "sending"
        try:
            answer = await self._destination.attempt(part)
        except Exception as error:
            # A mistake in a destination must cost neither the agent nor an event. Its text may be the event's.
            raised = type(error).__name__
            if raised != self._raised:
                self._raised = raised
                log.exception("attempt_failed", destination=self._stats.destination, events=len(part))
            answer = all_pending(part, Failure(kind=Kind.RAISED, reason=raised))
        self._stats.requests[_result(answer, len(part))] += 1
        self._stats.anomalies += answer.anomalies
        log.debug(
            "transaction_attempted",
            destination=self._stats.destination,
            events=len(part),
            bytes=part.size,
            rejected=len(answer.rejected),
            pending=len(answer.pending),
        )
        return answer

    @staticmethod
    def _without_smaller(part: Transaction, answer: Answer) -> Answer:
        """Turn "too large" and "one of these is bad" about a single event into its refusal."""
        failure = answer.failure
        if failure is None or failure.kind not in (Kind.TOO_LARGE, Kind.POISON) or len(part) > 1:
            return answer
        refusal = Refusal(
            counter="drop_rejected", reason=failure.reason, status=failure.status, excerpt=failure.excerpt
        )
        return Answer(rejected={0: refusal}, anomalies=answer.anomalies)

    def _judged(self, suspects: Suspects, group: Sequence[int], answer: Answer) -> Answer:
        """Turn an exception over a single event that is to blame for it into the event's refusal."""
        failure = answer.failure
        if failure is None or failure.kind is not Kind.RAISED or len(group) > 1:
            return answer
        if not suspects.is_guilty(group[0], self._stats.accepted):
            return answer
        if suspects.gave_up(group):
            self._given_up_at = self._stats.accepted
        reason = f"cannot_be_encoded: {failure.reason}"
        return Answer(rejected={0: Refusal(counter="drop_invalid_format", reason=reason)})

    def _suspected(self, suspects: Suspects) -> list[Sequence[int]]:
        """Return the groups to try when only suspects are left; pauses when the destination seems to be to blame."""
        accepted = self._stats.accepted
        groups, pause = suspects.next(accepted, worked=accepted > self._given_up_at)
        if pause:
            self._fail(Failure(kind=Kind.DESTINATION, reason=f"internal error: {self._raised}"))
        return list(groups)

    async def _keep(self, part: Transaction, answer: Answer) -> bool:
        """Write refused events to rejects; False when that failed, so that nothing may be settled."""
        try:
            await self._rejects.put(part, answer.rejected)
        except OSError as error:
            self._fail(Failure(kind=Kind.NOT_NOW, reason=f"rejects cannot be written: {error.strerror or error}"))
            self._stats.rejects_error = f"{self._rejects.folder}: {error.strerror or error}"
            return False
        self._stats.rejects_error = None
        for refusal in answer.rejected.values():
            self._stats.rejected[refusal.counter] += 1
        first = next(iter(answer.rejected.values()))
        log.error(
            "events_rejected",
            destination=self._stats.destination,
            events=len(answer.rejected),
            status=first.status,
            reason=first.reason,
        )
        return True

    def _settle(self, work: Work, part: Transaction, answer: Answer, pending: Sequence[int]) -> None:
        stats, now = self._stats, time.time()
        accepted = len(part) - len(answer.rejected) - len(answer.pending)
        if accepted:
            stats.accepted += accepted
            stats.accepted_bytes += part.size
            count_types(part.types, stats.accepted_by_type, len(part))
            if accepted < len(part):  # few, as a rule: cheaper to take them off again
                rest = part.pick(sorted(answer.rejected.keys() | set(answer.pending)))
                stats.accepted_bytes -= rest.size
                uncount_types(rest.types, stats.accepted_by_type, len(rest))
            stats.last_accepted_at = now
        stats.last_progress_at = now
        at = 0
        waiting = iter([*(work.indices[i] for i in pending), work.count])
        first = next(waiting)
        for piece in work.slices:
            after = at + len(piece.offsets)
            while first < at:
                first = next(waiting)
            if first < after:
                self._acks.settle(piece, piece.offsets[first - at])
            else:
                self._acks.settle(piece, None)
            at = after
        if not answer.pending and not self._gate.remaining_seconds:  # else one sent side by side has failed since
            self._recovered()

    def _again(self, failure: Failure, left: list[int], *, counted: bool) -> list[list[int]]:
        """Return the groups to send again, in order; waits of the whole destination are set at the gate."""
        if failure.kind in (Kind.TOO_LARGE, Kind.POISON, Kind.RAISED):
            middle = (len(left) + 1) // 2
            return [half for half in (left[:middle], left[middle:]) if half]
        self._fail(failure, counted=counted)
        return [left]

    def _fail(self, failure: Failure, *, counted: bool = False) -> None:
        """Close the gate. ``counted``: a request sent side by side with this one has failed already."""
        seconds = self._backoff.again(failure) if counted else self._backoff.seconds(failure)
        self._gate.hold(seconds)
        stats = self._stats
        stats.state = "degraded" if failure.kind is Kind.DESTINATION else "backing_off"
        stats.last_error = failure.reason
        stats.retry_at = time.time() + self._gate.remaining_seconds
        if self._trouble != failure.reason:
            # The same trouble is logged once, not at every attempt.
            self._trouble = failure.reason
            log.warning(
                "destination_pauses",
                destination=stats.destination,
                kind=str(failure.kind),
                reason=failure.reason,
                status=failure.status,
                retry_in_seconds=round(seconds, 3),
            )

    def _recovered(self) -> None:
        self._backoff.reset()
        self._stats.state = "idle"
        self._stats.retry_at = None
        if self._trouble is not None:
            log.info("destination_recovered", destination=self._stats.destination, was=self._trouble)
            self._trouble = None


_UNEXPLAINED = Failure(kind=Kind.NOT_NOW, reason="the destination left events pending without a reason")


def _without(pending: Sequence[int], group: Sequence[int], left: Sequence[int]) -> Sequence[int]:
    """Return ``pending`` without those events of ``group`` that are not ``left``."""
    if len(group) == len(pending):
        return left
    gone = set(group).difference(left)
    return [i for i in pending if i not in gone]


def _result(answer: Answer, events: int) -> str:
    if answer.failure:
        return "partial" if len(answer.pending) < events else str(answer.failure.kind)
    return "rejected" if answer.rejected else "accepted"
