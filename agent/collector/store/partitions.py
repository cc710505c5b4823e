"""PostgreSQL's partitions of the events: one for each day of receipt, made ahead, so that a day goes at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from agent.collector.store.records import microseconds

log = structlog.get_logger(__name__)

AHEAD_DAYS = 3
"""So long a collector may run without being able to make a partition; then events go into the one for all the rest."""
REST = "events_other"
_NAME = re.compile(r"events_(\d{8})")
_LOCK = 0x61756471
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A day's events."""

    name: str
    end: int
    """Everything in it was received before this (microseconds)."""


def make_ahead(connection: sa.Connection, now: datetime) -> None:
    """Make the partitions of today and of the next days that are not there yet."""
    # Of several processes that start at once, one makes them.
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    existing = {partition.name for partition in listed(connection)}
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    for number in range(AHEAD_DAYS + 1):
        day = today + number * _DAY
        name = f"events_{day:%Y%m%d}"
        if name in existing:
            continue
        bounds = f"FROM ({microseconds(day)}) TO ({microseconds(day + _DAY)})"
        try:
            with connection.begin_nested():
                connection.execute(sa.text(f"CREATE TABLE {name} PARTITION OF events FOR VALUES {bounds}"))
        except sa.exc.DBAPIError as error:
            # Events of that day went elsewhere already; they are found there all the same.
            log.warning("partition_not_made", partition=name, error=str(error.orig).splitlines()[0])


def count_anew(connection: sa.Connection) -> None:
    """Have the planner's counts made anew for tables that have grown much since.

    The server does so itself, later; a table that fills quickly from nothing is read as if it were empty till then.
    """
    query = sa.text(
        "SELECT relname FROM pg_stat_user_tables"
        " WHERE schemaname = current_schema() AND n_mod_since_analyze > 5000 + n_live_tup / 10"
    )
    for name in connection.execute(query).scalars().all():
        connection.execute(sa.text(f'ANALYZE "{name}"'))


def listed(connection: sa.Connection) -> list[Partition]:
    """Return the partitions of days, oldest first."""
    query = sa.text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid"
        " WHERE inhparent = 'events'::regclass ORDER BY child.relname"
    )
    found = []
    for name in connection.execute(query).scalars():
        if match := _NAME.fullmatch(name):
            day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC)
            found.append(Partition(name=name, end=microseconds(day + _DAY)))
    return found
