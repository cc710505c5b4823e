"""The contract of a destination: one attempt, and an answer that says what became of each event.

A destination knows nothing of retries, filters or cursors. Whatever goes wrong inside ``attempt`` comes back
as an ``Answer``; it raises only on programming errors and cancellation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.events import Transaction


class Kind(StrEnum):
    """Why events are pending: two kinds of failure, after which they are sent again, and three of splits."""

    NOT_NOW = "not_now"
    """No connection, timeout, 408, 425, 429, 5xx, ``unprocessed``, ``too_busy``: retried with back-off."""
    DESTINATION = "destination"
    """401, 403, 404, bad TLS, no credentials: the lane pauses, probes slowly, turns degraded."""
    TOO_LARGE = "too_large"
    """413: sent again at once in halves; a single too large event is rejected by the delivery policy."""
    POISON = "poison"
    """Refused as a whole although only some event is bad: bisected at once down to the bad events."""
    RAISED = "raised"
    """The attempt raised, a mistake of ours: bisected, and then either events are to blame or the destination is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why some events of an attempt are pending, and until when the destination wants to be left alone."""

    kind: Kind
    reason: str
    """One line for operators: what was tried, what came back. Never a secret, never an event's body."""
    status: int | None = None
    retry_after_seconds: float | None = None
    """The latest valid hint of WIRE 4.4 rule 6, already capped; None means back-off decides."""
    excerpt: str = ""
    """The start of the response, for rejects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why one event will never be sent again."""

    counter: str
    """The drop counter of WIRE 9.1, e.g. ``drop_rejected``."""
    reason: str
    status: int | None = None
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a transaction in one attempt. An event that is neither rejected nor pending is accepted.

    Keys and members are indices into the transaction; ``pending`` is ascending; the two never overlap;
    ``failure`` is set exactly when ``pending`` is not empty.
    """

    rejected: Mapping[int, Refusal] = field(default_factory=dict)
    pending: Sequence[int] = ()
    failure: Failure | None = None
    anomalies: int = 0


ACCEPTED = Answer()


def all_pending(transaction: Transaction, failure: Failure) -> Answer:
    """Answer that nothing of ``transaction`` is settled, because of ``failure``."""
    return Answer(pending=range(len(transaction)), failure=failure)


def all_rejected(transaction: Transaction, refusal: Refusal) -> Answer:
    """Answer that every event of ``transaction`` was refused for good."""
    return Answer(rejected=dict.fromkeys(range(len(transaction)), refusal))


class Destination(Protocol):
    """Where a lane delivers. Building one does no I/O."""

    async def attempt(self, transaction: Transaction) -> Answer:
        """Try once to deliver ``transaction``."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and descriptors. Called once, also when nothing was ever attempted."""
        ...
