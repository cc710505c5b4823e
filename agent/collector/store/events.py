"""Questions to the stored events. Each takes a connection; those of a caller take the organisation's number, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from agent.collector.store.key import FOREIGN, key
from agent.collector.store.tables import EVENTS, IDS

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Named(msgspec.Struct):
    unique_id: str


_NAMED = msgspec.json.Decoder(_Named)


def unique_id(stream: bytes, position: int, envelope: bytes) -> str:
    """Return the id of an event, which for one of no stream stands in its envelope only."""
    return f"{stream.hex()}.{position:x}" if position != FOREIGN else _NAMED.decode(envelope).unique_id


def count(connection: sa.Connection) -> int:
    """Return how many events there are, of all organisations."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(EVENTS)).scalar() or 0)


def newest(connection: sa.Connection, number: int) -> list[bytes]:
    """Return the envelopes of the newest events, newest first, of all organisations."""
    query = sa.select(EVENTS.c.envelope).order_by(EVENTS.c.id.desc()).limit(number)
    return [bytes(row[0]) for row in connection.execute(query)]


def ids(connection: sa.Connection) -> list[str]:
    """Return every id, in the order of arrival, of all organisations."""
    query = sa.select(EVENTS.c.stream, EVENTS.c.position, EVENTS.c.envelope).order_by(EVENTS.c.id)
    return [unique_id(*row) for row in connection.execute(query)]


def recent(
    connection: sa.Connection,
    org: int,
    *,
    limit: int,
    before: int | None = None,
    log_type: str | None = None,
    hostname: str | None = None,
) -> Sequence[sa.Row[int, int, bytes]]:
    """Return (id, received_at, envelope) of an organisation's events, newest first, those older than id ``before``."""
    query = sa.select(EVENTS.c.id, EVENTS.c.received_at, EVENTS.c.envelope).where(EVENTS.c.org == org)
    if before is not None:
        query = query.where(EVENTS.c.id < before)
    if log_type is not None:
        query = query.where(EVENTS.c.log_type == log_type)
    if hostname is not None:
        query = query.where(EVENTS.c.hostname == hostname)
    return connection.execute(query.order_by(EVENTS.c.id.desc()).limit(limit)).all()


def find(connection: sa.Connection, org: int, name: str) -> tuple[int, bytes] | None:
    """Return (received_at, envelope) of the event with the id ``name``."""
    stream, position = key(name)
    same = sa.and_(IDS.c.org == org, IDS.c.stream == stream, IDS.c.position == position)
    query = (
        sa.select(EVENTS.c.received_at, EVENTS.c.envelope)
        .join(IDS, sa.and_(IDS.c.org == EVENTS.c.org, IDS.c.id == EVENTS.c.id))
        .where(same)
    )
    found = connection.execute(query).first()
    return (found.received_at, bytes(found.envelope)) if found else None


def first_after(connection: sa.Connection, org: int, when: int) -> int:
    """Return the id from which on events arrived at ``when`` or later, found by halving: ids follow arrival."""
    own = EVENTS.c.org == org
    low, high = (
        connection.execute(sa.select(end(EVENTS.c.id)).where(own)).scalar() for end in (sa.func.min, sa.func.max)
    )
    if low is None or high is None:
        return 1
    beyond = high + 1
    while low < beyond:
        middle = (low + beyond) // 2
        query = sa.select(EVENTS.c.id, EVENTS.c.received_at).where(own, EVENTS.c.id >= middle).order_by(EVENTS.c.id)
        row = connection.execute(query.limit(1)).one()
        if row.received_at >= when:
            beyond = middle
        else:
            low = row.id + 1
    return int(low)


def positions(connection: sa.Connection, org: int, stream: bytes, *, after: int, limit: int) -> list[int]:
    """Return the sorted positions that are here of a stream, those greater than ``after``."""
    query = (
        sa.select(IDS.c.position)
        .where(IDS.c.org == org, IDS.c.stream == stream, IDS.c.position > max(after, FOREIGN))
        .order_by(IDS.c.position)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())
