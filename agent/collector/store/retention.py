"""What is too old or too much goes: oldest first, its ids and records with it, in steps that hold nobody up long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from agent.collector.store import partitions
from agent.collector.store.tables import AUDIT_ATTRIBUTES, AUDITS, AUTH_AUDITS, EVENTS

if TYPE_CHECKING:
    from agent.collector.store.database import Database

log = structlog.get_logger(__name__)

STEP_EVENTS = 5000
_LOCK = 0x61756470
_LOCK_WAIT = "SET LOCAL lock_timeout = '5s'"
"""Dropping a partition waits for queries that read it, and everybody else for that: not for long, it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How long and how much; None: without bound."""

    max_age_seconds: float | None = None
    max_bytes: int | None = None


def maintain(database: Database, keep: Keep) -> int:
    """Make room ahead, keep the planner's counts fresh, remove what may go; returns how many events were removed.

    Raises what the database raises. Of several processes one does it, the others return at once.
    """
    if not database.is_postgresql:
        return _trim_rows(database, keep)
    with database.engine.connect() as connection:
        alone = connection.execute(sa.text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar()
        connection.commit()
        if not alone:
            return 0
        try:
            with database.writing() as writing:
                partitions.make_ahead(writing, datetime.now(UTC))
                partitions.count_anew(writing)
            return _drop_partitions(database, keep) + _trim_rows(database, keep, only=partitions.REST)
        finally:
            connection.execute(sa.text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()


def _drop_partitions(database: Database, keep: Keep) -> int:
    removed = 0
    while True:
        with database.reading() as connection:
            days = partitions.listed(connection)
            now = time.time_ns() // 1000
            past = [day for day in days if day.end <= now]
            if not past or not (_too_old(past[0].end, keep) or _too_large(connection, keep)):
                return removed
            oldest = past[0].name
        removed += _remove_contents(database, oldest)
        with database.writing() as connection:
            connection.execute(sa.text(_LOCK_WAIT))
            connection.execute(sa.text(f"DROP TABLE {oldest}"))
        log.info("events_expired", partition=oldest)


def _trim_rows(database: Database, keep: Keep, *, only: str = "events") -> int:
    """Remove single events: all there is to do on SQLite, and for those that are in no day's partition."""
    removed = 0
    while True:
        end = None if keep.max_age_seconds is None else int((time.time() - keep.max_age_seconds) * 1e6)
        with database.reading() as connection:
            large = only == "events" and _too_large(connection, keep)
        if end is None and not large:
            return removed
        step = _step(database, only, end=None if large else end)
        removed += step
        if step == 0:
            if removed:
                log.info("events_expired", events=removed)
            return removed


def _remove_contents(database: Database, table: str) -> int:
    """Remove the ids and records of a partition's events, which goes itself as a whole after that."""
    removed, last = 0, 0
    while True:
        with database.writing() as connection:
            step = f"SELECT id FROM {table} WHERE id > :last ORDER BY id LIMIT {STEP_EVENTS}"  # noqa: S608
            query = sa.text(f"SELECT max(id), count(*) FROM ({step}) x")  # noqa: S608
            upto, count = connection.execute(query, {"last": last}).one()
            if not count:
                return removed
            _remove_traces(connection, table, last, upto)
        removed += count
        last = upto


def _step(database: Database, table: str, *, end: int | None) -> int:
    """Remove the oldest events, of those received before ``end``; never the newest, whose id is the last one given."""
    with database.writing() as connection:
        query = f"SELECT id, received_at FROM {table} ORDER BY id LIMIT {STEP_EVENTS}"  # noqa: S608 # our own names
        rows = connection.execute(sa.text(query)).all()
        # Of PostgreSQL a sequence knows which ids were given.
        newest = None if database.is_postgresql else connection.execute(sa.select(sa.func.max(EVENTS.c.id))).scalar()
        ids = [row.id for row in takewhile(lambda row: end is None or row.received_at < end, rows) if row.id != newest]
        if not ids:
            return 0
        _remove_traces(connection, table, ids[0] - 1, ids[-1])
        connection.execute(sa.text(f"DELETE FROM {table} WHERE id <= :upto"), {"upto": ids[-1]})  # noqa: S608
        return len(ids)


def _remove_traces(connection: sa.Connection, table: str, after: int, upto: int) -> None:
    """Remove the ids and the records of the events of ``table`` numbered from the one after ``after`` to ``upto``."""
    own = f"SELECT org, stream, position FROM {table} WHERE id > :after AND id <= :upto"  # noqa: S608 # our own names
    bounds = {"after": after, "upto": upto}
    connection.execute(sa.text(f"DELETE FROM ids WHERE (org, stream, position) IN ({own})"), bounds)  # noqa: S608
    times = sa.text(f"SELECT min(received_at), max(received_at) FROM {table} WHERE id > :after AND id <= :upto")  # noqa: S608
    first, last = connection.execute(times, bounds).one()
    for records in (AUDIT_ATTRIBUTES, AUDITS, AUTH_AUDITS):
        arrived = records.c.received_at.between(first, last)
        connection.execute(records.delete().where(arrived, records.c.id > after, records.c.id <= upto))


def _too_old(end: int, keep: Keep) -> bool:
    return keep.max_age_seconds is not None and end <= (time.time() - keep.max_age_seconds) * 1e6


def _too_large(connection: sa.Connection, keep: Keep) -> bool:
    return keep.max_bytes is not None and size(connection) > keep.max_bytes


def size(connection: sa.Connection) -> int:
    """Return how many bytes the database uses; space that is free within its file does not count."""
    if connection.dialect.name == "postgresql":
        return int(connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar() or 0)
    pages = {
        name: int(connection.execute(sa.text(f"PRAGMA {name}")).scalar() or 0)
        for name in ("page_count", "freelist_count", "page_size")
    }
    return (pages["page_count"] - pages["freelist_count"]) * pages["page_size"]
