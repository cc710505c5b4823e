"""Looking through events, newest first, within a bound on what is read: for people who search."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from agent.collector.store.events import first_after
from agent.collector.store.tables import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable

_STEP = 2000
_INTERLEAVED = 10_000_000
"""Several writers' numbers interleave, so that they do not follow arrival to the moment; microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: all that is set must be met. Times are microseconds of arrival, ``until`` exclusive."""

    log_type: str | None = None
    hostname: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    """Only events that arrived before the one with this number."""
    after: int | None = None
    """Only events that arrived after the one with this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An event as it is stored."""

    number: int
    received_at: int
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, newest first."""

    hits: list[Hit]
    looked_at: int
    """How many events were read."""
    last: int | None
    """The number to go on before; None when nothing is older."""


def search(
    connection: sa.Connection,
    org: int,
    wanted: Wanted,
    *,
    accept: Callable[[bytes], bool] | None = None,
    limit: int,
    most: int = 200_000,
    seconds: float = 3.0,
) -> Found:
    """Return up to ``limit`` events that ``accept`` takes by their envelope.

    It stops after ``most`` events or ``seconds``; the answer says where to go on.
    """
    hits: list[Hit] = []
    looked_at, end = 0, time.monotonic() + seconds
    before = _least(wanted.before, _number_at(connection, org, wanted.until))
    step = limit + 1 if accept is None else _STEP
    while True:
        rows = connection.execute(_query(org, wanted, before).limit(step)).all()
        for row in rows:
            looked_at += 1
            before = row.id
            envelope = bytes(row.envelope)
            if accept is None or accept(envelope):
                if len(hits) == limit:
                    return Found(hits=hits, looked_at=looked_at, last=hits[-1].number)
                hits.append(Hit(number=row.id, received_at=row.received_at, envelope=envelope))
        if len(rows) < step:
            return Found(hits=hits, looked_at=looked_at, last=None)
        if looked_at >= most or time.monotonic() > end:
            return Found(hits=hits, looked_at=looked_at, last=before)


def _query(org: int, wanted: Wanted, before: int | None) -> sa.Select[tuple[int, int, bytes]]:
    query = sa.select(EVENTS.c.id, EVENTS.c.received_at, EVENTS.c.envelope).where(EVENTS.c.org == org)
    if before is not None:
        query = query.where(EVENTS.c.id < before)
    if wanted.after is not None:
        query = query.where(EVENTS.c.id > wanted.after)
    if wanted.since is not None:
        query = query.where(EVENTS.c.received_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(EVENTS.c.received_at < wanted.until)
    if wanted.log_type is not None:
        query = query.where(EVENTS.c.log_type == wanted.log_type)
    if wanted.hostname is not None:
        query = query.where(EVENTS.c.hostname == wanted.hostname)
    return query.order_by(EVENTS.c.id.desc())


def _number_at(connection: sa.Connection, org: int, until: int | None) -> int | None:
    """Return a number that is beyond all events that arrived before ``until``, to begin there and not at the newest."""
    return None if until is None else first_after(connection, org, until + _INTERLEAVED)


def _least(one: int | None, other: int | None) -> int | None:
    return min((n for n in (one, other) if n is not None), default=None)
