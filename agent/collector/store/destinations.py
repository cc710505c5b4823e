"""Audit destinations as they were given (WIRE 1, 2): what we do not know in them is kept."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from agent.collector.store.paging import Field, timestamp
from agent.collector.store.records import microseconds, moment
from agent.collector.store.tables import DESTINATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collector.store.paging import Paging

MAX_PER_ORG = 10_000
_C = DESTINATIONS.c
FIELDS = {
    "id": Field(column=_C.id),
    "name": Field(column=_C.name),
    "destination_type": Field(column=_C.destination_type),
    "created": Field(column=_C.created, kind="time"),
    "updated": Field(column=_C.updated, kind="time"),
    # All rows that a caller sees are of one organisation.
    "org_id": Field(column=sa.cast(_C.org, sa.Text)),
}
_OWN = ("id", "created", "updated")


class ConflictError(Exception):
    """The object conflicts with the stored one, which it carries."""

    def __init__(self, message: str, existing: dict[str, Any]) -> None:
        """Keep both."""
        super().__init__(message)
        self.existing = existing


class FullError(Exception):
    """An organisation has as many as it may have."""


def find(connection: sa.Connection, org: int, name: str) -> dict[str, Any] | None:
    """Return the destination with the id ``name``."""
    row = connection.execute(sa.select(DESTINATIONS).where(_C.org == org, _C.id == name)).first()
    return None if row is None else shown(row)


def create(connection: sa.Connection, org: int, body: dict[str, Any]) -> dict[str, Any]:
    """Store a new destination and return it. Raises ``ConflictError`` when its name is taken, ``FullError``."""
    _refuse_name(connection, org, body["spec"]["name"])
    count = connection.execute(sa.select(sa.func.count()).select_from(DESTINATIONS).where(_C.org == org)).scalar()
    if (count or 0) >= MAX_PER_ORG:
        raise FullError(f"there are {count} destinations already; allowed: at most {MAX_PER_ORG}")
    now = time.time_ns() // 1000
    values = {"org": org, "id": uuid.uuid4().hex, "created": now, "updated": now, **_columns(body)}
    connection.execute(DESTINATIONS.insert(), values)
    found = find(connection, org, values["id"])
    assert found is not None  # noqa: S101 # it was just stored, in this transaction
    return found


def replace(connection: sa.Connection, org: int, name: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Replace the destination with the id ``name`` and return it; None when there is none. Raises ``ConflictError``."""
    query = sa.select(DESTINATIONS).where(_C.org == org, _C.id == name)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    row = connection.execute(query).first()
    if row is None:
        return None
    metadata = body.get("metadata")
    given = metadata.get("updated") if isinstance(metadata, dict) else None
    if given is not None:
        when = moment(given)
        if when is None or microseconds(when) != row.updated:
            raise ConflictError(
                f"metadata.updated: found {str(given)[:80]!r}, but it was changed at {timestamp(row.updated)}:"
                " fetch it again and apply the change to that",
                shown(row),
            )
    if body["spec"]["name"] != row.name:
        _refuse_name(connection, org, body["spec"]["name"])
    now = max(time.time_ns() // 1000, row.updated + 1)
    connection.execute(DESTINATIONS.update().where(_C.org == org, _C.id == name).values(updated=now, **_columns(body)))
    return find(connection, org, name)


def delete(connection: sa.Connection, org: int, name: str) -> dict[str, Any] | None:
    """Remove the destination with the id ``name`` and return what it was; None when there is none."""
    found = find(connection, org, name)
    if found is not None:
        connection.execute(DESTINATIONS.delete().where(_C.org == org, _C.id == name))
    return found


def listed(
    connection: sa.Connection,
    org: int,
    paging: Paging,
    *,
    limit: int,
    name: str | None = None,
    destination_type: str | None = None,
    external: bool | None = None,
    search: Sequence[str] = (),
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return a page of an organisation's destinations, and its ``page_info``, None when it is empty."""
    query = sa.select(DESTINATIONS, FIELDS["org_id"].column.label("org_id")).where(_C.org == org)
    if name is not None:
        query = query.where(_C.name == name)
    if destination_type is not None:
        query = query.where(_C.destination_type == destination_type)
    if external is not None:
        query = query.where(_C.is_external == int(external))
    rows = list(connection.execute(paging.apply(query).limit(limit if not search else MAX_PER_ORG)))
    if search:
        wanted = [word.casefold() for word in search]
        rows = [row for row in rows if _contains(row, wanted)][:limit]
    if not rows:
        return [], None
    if paging.backwards:
        rows.reverse()
    return [shown(row) for row in rows], paging.info(paging.key(rows[0]), paging.key(rows[-1]))


def shown(row: sa.Row[Any]) -> dict[str, Any]:
    """Return the object as callers see it."""
    body: dict[str, Any] = msgspec.json.decode(row.body)
    own = {"id": row.id, "created": timestamp(row.created), "updated": timestamp(row.updated)}
    return {**body, "metadata": {**body.get("metadata", {}), **own}}


def _contains(row: sa.Row[Any], wanted: Sequence[str]) -> bool:
    """Tell whether every word stands in something that a person would look for it in; never in a secret."""
    spec = msgspec.json.decode(row.body)["spec"]
    places = [row.id, *(str(spec.get(key, "")) for key in ("name", "comment", "location", "destination_type"))]
    text = "\n".join(places).casefold()
    return all(word in text for word in wanted)


def _columns(body: dict[str, Any]) -> dict[str, Any]:
    spec = body["spec"]
    routing = spec.get("routing")
    metadata = body.get("metadata")
    kept = {key: value for key, value in body.items() if key != "metadata"}
    if isinstance(metadata, dict) and (more := {k: v for k, v in metadata.items() if k not in _OWN}):
        kept["metadata"] = more
    return {
        "name": spec["name"],
        "destination_type": spec["destination_type"],
        "is_external": int(isinstance(routing, dict) and routing.get("external") is True),
        "body": msgspec.json.encode(kept),
    }


def _refuse_name(connection: sa.Connection, org: int, name: str) -> None:
    row = connection.execute(sa.select(DESTINATIONS).where(_C.org == org, _C.name == name)).first()
    if row is not None:
        raise ConflictError(f"a destination of the name {name!r} exists", shown(row))
