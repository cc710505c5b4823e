"""A response → what became of the transaction: the table of WIRE 4.3. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from agent import hints
from agent.destinations import answers
from agent.destinations.base import (
    ACCEPTED,
    Answer,
    Failure,
    Kind,
    Refusal,
    all_pending,
    all_rejected,
)
from agent.destinations.text import excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from agent.events import Transaction

RETRIED_4XX = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response with as much of its body as was read."""

    status: int
    headers: httpx.Headers | Sequence[tuple[bytes, bytes]]
    body: bytes
    complete: bool = True
    """False when the body was longer than what is read of one."""


def judge(transaction: Transaction, reply: Reply, *, origin: str, now: datetime, cap: float) -> Answer:
    """Return what ``reply`` to ``transaction`` means; ``cap`` bounds its hints in seconds."""
    status = reply.status
    if 200 <= status < 300:
        if not reply.body and reply.complete:
            return ACCEPTED
        return _affirmed(transaction, reply, origin=origin, now=now, cap=cap)
    reason = f"{origin} answered {_phrase(status)}"
    if status == HTTPStatus.BAD_REQUEST:
        refusal = Refusal(counter="drop_rejected", reason=reason, status=status, excerpt=excerpt(reply.body))
        return all_rejected(transaction, refusal)
    kind = _kind(status)
    if kind is Kind.NOT_NOW and 300 <= status < 400:
        reason += ", a redirect that is not followed"
    processed = answers.decode(reply.body)
    return all_pending(transaction, _failure(kind, reason, reply=reply, processed=processed, now=now, cap=cap))


def _affirmed(transaction: Transaction, reply: Reply, *, origin: str, now: datetime, cap: float) -> Answer:
    """Judge a 2XX that has a body."""
    if not reply.complete:
        # It may name events to be sent again, so nothing is settled; and no receiver answers at such length.
        # The number of bytes that came differs each time; the reason must not, or each attempt is logged anew.
        reason = f"{origin} answered {_phrase(reply.status)} with a body that is too long"
        return all_pending(
            transaction,
            _failure(Kind.DESTINATION, reason, reply=reply, processed=None, now=now, cap=cap),
        )
    processed = answers.decode(reply.body)
    if processed is None:
        return ACCEPTED
    found = answers.outcomes(processed, find=transaction.find, status=reply.status, body=reply.body)
    failure = None
    if found.pending:
        reason = f"{origin} wants {len(found.pending)} of {len(transaction)} events again"
        failure = _failure(Kind.NOT_NOW, reason, reply=reply, processed=processed, now=now, cap=cap)
    return Answer(rejected=found.rejected, pending=found.pending, failure=failure, anomalies=found.anomalies)


def _kind(status: int) -> Kind:
    """Return the kind of failure a status other than 2XX and 400 stands for."""
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Kind.TOO_LARGE
    if 400 <= status < 500 and status not in RETRIED_4XX:
        return Kind.DESTINATION
    return Kind.NOT_NOW


def _failure(
    kind: Kind, reason: str, *, reply: Reply, processed: answers.Processed | None, now: datetime, cap: float
) -> Failure:
    """Return the failure with the latest hint of header and body."""
    headers = httpx.Headers(reply.headers)
    return Failure(
        kind=kind,
        reason=reason,
        status=reply.status,
        retry_after_seconds=hints.retry_after_seconds(
            retry_after=headers.get_list("retry-after"),
            date=headers.get("date"),
            body_date=processed.retry_after_date if processed else None,
            body_seconds=processed.retry_after_delay_seconds if processed else None,
            now=now,
            cap=cap,
        ),
        excerpt=excerpt(reply.body),
    )


def _phrase(status: int) -> str:
    """Return ``503 Service Unavailable``; the server's own phrase is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
