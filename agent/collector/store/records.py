"""What events of the subsystems ``api`` and ``authentication`` are found by (WIRE 1.3, 3.5, 3.6), taken out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from agent.collector.store.incoming import Incoming
from agent.collector.store.tables import AUDIT_ATTRIBUTES, AUDIT_TEXTS, AUDITS, AUTH_AUDITS, AUTH_TEXTS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

AUDIT = "api"
AUTH = "authentication"
MAX_CHARACTERS = 512
"""Of what is looked for: longer values are found by their beginning."""
MAX_ATTRIBUTES = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC) - _EPOCH
_LAST = datetime.max.replace(tzinfo=UTC) - _EPOCH


class _Time(msgspec.Struct, gc=False):
    create_time: Any = None


class _Envelope(_Time, gc=False):
    event: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(_Envelope)
_TIME = msgspec.json.Decoder(_Time)


@dataclass(slots=True)
class Found:
    """Rows for the tables of records, in the order of the tables' columns."""

    audits: list[tuple[Any, ...]] = field(default_factory=list)
    attributes: list[tuple[Any, ...]] = field(default_factory=list)
    auth_audits: list[tuple[Any, ...]] = field(default_factory=list)

    def tables(self) -> list[tuple[sa.Table, list[tuple[Any, ...]]]]:
        """Return each table with what is to be added to it."""
        every = [(AUDITS, self.audits), (AUDIT_ATTRIBUTES, self.attributes), (AUTH_AUDITS, self.auth_audits)]
        return [(table, rows) for table, rows in every if rows]


def records(events: Iterable[Incoming]) -> Found:
    """Return the rows for those of ``events`` that are records."""
    found = Found()
    for event in events:
        if event.log_type == AUDIT:
            _audit(event, found)
        elif event.log_type == AUTH:
            members, time = _members(event.envelope)
            texts = (text(members.get(name)) for name in AUTH_TEXTS)
            found.auth_audits.append((event.org, time, event.id, event.received_at, *texts))
    return found


def _audit(event: Incoming, found: Found) -> None:
    members, time = _members(event.envelope)
    texts = (text(members.get(name)) for name in AUDIT_TEXTS)
    found.audits.append((event.org, time, event.id, event.received_at, *texts))
    attributes = members.get("audit_attributes")
    for number, one in enumerate(attributes[:MAX_ATTRIBUTES] if isinstance(attributes, list) else ()):
        if isinstance(one, dict):
            named = (text(one.get(name)) for name in ("attribute_type", "attribute_id", "attribute_org_id"))
            found.attributes.append((event.id, number, event.received_at, *named))


def _members(envelope: bytes) -> tuple[dict[str, Any], int]:
    """Return the event's members and its time; an event that is nested too deeply for that has only a time."""
    try:
        decoded = _DECODER.decode(envelope)
    except (msgspec.MsgspecError, RecursionError):
        return {}, microseconds(moment(_TIME.decode(envelope).create_time) or _EPOCH)
    when = moment(decoded.event.get("time")) or moment(decoded.create_time) or _EPOCH
    return decoded.event, microseconds(when)


def text(value: object) -> str:
    """Return a member's value as it is looked for; what is no text is written as JSON."""
    if value is None:
        return ""
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return shown[:MAX_CHARACTERS].replace("\0", "\N{REPLACEMENT CHARACTER}")


def moment(value: object) -> datetime | None:
    """Return the time that an RFC 3339 text names, None when it is none."""
    if not isinstance(value, str):
        return None
    for shown in (value, value.replace(":60", ":59", 1)):  # a leap second
        try:
            parsed = msgspec.convert(shown, datetime)
        except msgspec.ValidationError:
            continue
        return parsed if parsed.tzinfo else None
    return None


def microseconds(when: datetime) -> int:
    """Return microseconds since 1970; of the nearest time that has a year from 1 to 9999 in UTC, too."""
    delta = max(_FIRST, min(when - _EPOCH, _LAST))
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def fill(connection: sa.Connection) -> None:
    """Take the records out of every event that is stored already."""
    last = 0
    kinds = EVENTS.c.log_type.in_((AUDIT, AUTH))
    while True:
        query = sa.select(*(EVENTS.c[name] for name in Incoming._fields)).where(kinds, EVENTS.c.id > last)
        rows = connection.execute(query.order_by(EVENTS.c.id).limit(5000)).all()
        if not rows:
            return
        for table, values in records([Incoming(*row) for row in rows]).tables():
            connection.execute(table.insert(), [dict(zip(table.columns.keys(), v, strict=True)) for v in values])
        last = rows[-1].id
