"""Questions to the records: those of the API's changes and those of authentication (WIRE 1.3)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from agent.collector.store.paging import Field
from agent.collector.store.shown import audit, auth_audit
from agent.collector.store.tables import AUDIT_ATTRIBUTES, AUDIT_TEXTS, AUDITS, AUTH_AUDITS, AUTH_TEXTS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.collector.store.expression import Expression
    from agent.collector.store.paging import Paging

SCAN_SECONDS = 5.0
"""So long records are looked through for one page, when only an expression tells which are wanted."""
_SCAN_ROWS = 2000
_CONNECTORS = ("connector", "agent_connector", "agent-connector")


class SlowError(Exception):
    """No match was found in the time there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of records."""

    table: sa.Table
    texts: tuple[str, ...]
    shown: Callable[[bytes], dict[str, Any]]

    @property
    def fields(self) -> dict[str, Field]:
        """What they can be ordered by."""
        columns = self.table.c
        return {
            "time": Field(column=columns.time, kind="time"),
            "id": Field(column=columns.id, kind="number"),
            **{name: Field(column=columns[name]) for name in self.texts},
        }


_Found = tuple[sa.Row[Any], dict[str, Any]]
AUDIT_RECORDS = Kind(table=AUDITS, texts=AUDIT_TEXTS, shown=audit)
AUTH_RECORDS = Kind(table=AUTH_AUDITS, texts=AUTH_TEXTS, shown=auth_audit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records."""

    equal: dict[str, str]
    """Column → what it has to be."""
    time_from: int | None = None
    time_to: int | None = None
    attribute: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(Column, allowed values): one attribute of the record has to satisfy them all."""
    behind: str | None = None
    """A connector: records that came through it, or are about it."""
    expression: Expression | None = None


def page(
    connection: sa.Connection, org: int, kind: Kind, paging: Paging, wanted: Wanted, *, limit: int
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return a page of records and its ``page_info``, None when it is empty. Raises ``SlowError``."""
    if wanted.expression is None:
        rows = _fetch(connection, org, kind, paging, wanted, limit)
        last = rows[-1][0] if rows else None
    else:
        rows, last = _scan(connection, org, kind, paging, wanted, wanted.expression, limit)
    if not rows or last is None:
        return [], None
    first = rows[0][0]
    if paging.backwards:
        rows.reverse()
        first, last = last, first
    return [record for _, record in rows], paging.info(paging.key(first), paging.key(last))


def _scan(
    connection: sa.Connection,
    org: int,
    kind: Kind,
    paging: Paging,
    wanted: Wanted,
    expression: Expression,
    limit: int,
) -> tuple[list[_Found], sa.Row[Any] | None]:
    """Return the rows that match, and the last one that was looked at; the next page goes on after that."""
    found: list[_Found] = []
    end = time.monotonic() + SCAN_SECONDS
    looked = 0
    row = None
    while True:
        some = _fetch(connection, org, kind, paging, wanted, _SCAN_ROWS)
        for row, record in some:
            looked += 1
            if expression.matches(record):
                found.append((row, record))
                if len(found) == limit:
                    return found, row
            if time.monotonic() > end:
                if found:
                    return found, row
                raise SlowError(
                    f"cel_expression: none of the first {looked} records matches, and more were not looked at;"
                    " allowed: narrow it down by dt_from, dt_to or another filter"
                )
        if row is None or len(some) < _SCAN_ROWS:
            return found, row
        paging = paging.after(row)


def _fetch(connection: sa.Connection, org: int, kind: Kind, paging: Paging, wanted: Wanted, limit: int) -> list[_Found]:
    """Return rows with their records, of events that are there still.

    In two steps: a join would leave it to the database to look at all events instead of these.
    """
    rows = connection.execute(paging.apply(_query(org, kind, wanted)).limit(limit)).all()
    if not rows:
        return []
    arrived = [row.received_at for row in rows]
    query = sa.select(EVENTS.c.id, EVENTS.c.envelope).where(
        EVENTS.c.org == org,
        EVENTS.c.id.in_([row.id for row in rows]),
        EVENTS.c.received_at.between(min(arrived), max(arrived)),
    )
    envelopes = {row.id: row.envelope for row in connection.execute(query)}
    return [(row, kind.shown(bytes(envelopes[row.id]))) for row in rows if row.id in envelopes]


def _query(org: int, kind: Kind, wanted: Wanted) -> sa.Select[Any]:
    columns = kind.table.c
    query = sa.select(kind.table).where(columns.org == org)
    for name, value in wanted.equal.items():
        query = query.where(columns[name] == value)
    if wanted.time_from is not None:
        query = query.where(columns.time >= wanted.time_from)
    if wanted.time_to is not None:
        query = query.where(columns.time < wanted.time_to)
    if wanted.attribute:
        query = query.where(_has_attribute(columns.id, wanted.attribute))
    if wanted.behind is not None:
        about = _has_attribute(
            columns.id,
            (
                ("attribute_id", (wanted.behind,)),
                ("attribute_type", ("connector", "agent_connector", "agent-connector")),
            ),
        )
        query = query.where(sa.or_(columns.source_id == wanted.behind, about))
    return query


def _has_attribute(
    record: sa.ColumnElement[int], conditions: Sequence[tuple[str, tuple[str, ...]]]
) -> sa.ColumnElement[bool]:
    columns = AUDIT_ATTRIBUTES.c
    found = sa.select(columns.id).where(columns.id == record)
    for name, values in conditions:
        found = found.where(columns[name].in_(values))
    return found.exists()
