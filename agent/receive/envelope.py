"""Request body → valid events and refused ones, pure (WIRE 3.1, 4.1). Each event is judged by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw

from agent.receive.split import split_events

MAX_ID_CHARACTERS = 256
MAX_PLAIN_CHARACTERS = 255
"""Of a property that events are found by; the longest name of a host has 253 characters."""
MAX_NAMED_CHARACTERS = 4096
"""Of a refused event's id that is repeated: enough for the sender to know it again, not enough to be flooded with."""


class _Inside(msgspec.Struct, gc=False):
    # As they stand: the event is free-form, whatever these are does not make it invalid.
    log_type: Raw = Raw()
    hostname: Raw = Raw()


class _Event(msgspec.Struct, gc=False):
    unique_id: Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9\-._]+\Z", max_length=MAX_ID_CHARACTERS)]
    create_time: Annotated[datetime, msgspec.Meta(tz=True)]
    event: _Inside


class _Bulk(msgspec.Struct, gc=False):
    events: list[Raw]
    always_respond_with_events: bool | None = None


class _PlainInside(msgspec.Struct, gc=False):
    log_type: str = ""
    hostname: str = ""


class _PlainEvent(_Event, gc=False):
    event: _PlainInside  # type: ignore[assignment] # what nearly every event has, decoded at once


class _Typed(msgspec.Struct, gc=False):
    events: list[_PlainEvent]


class _Named(msgspec.Struct, gc=False):
    unique_id: Any = UNSET


_BULK = msgspec.json.Decoder(_Bulk)
_TYPED = msgspec.json.Decoder(_Typed)
_EVENT = msgspec.json.Decoder(_Event)
_NAMED = msgspec.json.Decoder(_Named)
_PLAIN_ID = re.compile(rb'"unique_id"\s*:\s*"([a-zA-Z0-9\-._]+)"')
_LEAP_SECOND = re.compile(rb'("create_time"\s*:\s*"[^"]{17})60')


class EnvelopeError(ValueError):
    """The body is no AuditWebhookBulkEvent; the text says why."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """A valid event as it is stored: ``envelope`` is the bytes received."""

    unique_id: str
    log_type: str
    hostname: str
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """One request's events."""

    rows: list[Row]
    invalid: list[tuple[str, str]] = field(default_factory=list)
    """(unique_id as far as it could be read, why) of each refused event."""
    list_all: bool = False
    """The sender wants every event in the answer."""


def parse(body: bytes, *, max_events: int) -> Bulk:
    """Judge the events of ``body``. Raises ``EnvelopeError``, or ``OverflowError`` when there are too many."""
    try:
        body.decode()  # the decoder does not look at text it skips
        bulk, raw = _outer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(_reason(error)) from error
    if len(raw) > max_events:
        raise OverflowError(f"{len(raw)} events; allowed: at most {max_events}")
    list_all = bool(bulk.always_respond_with_events)
    try:
        typed = _TYPED.decode(body).events
    except (msgspec.MsgspecError, RecursionError):
        return _one_by_one(raw, list_all=list_all)
    rows = [
        Row(event.unique_id, _short(event.event.log_type), _short(event.event.hostname), data)
        for event, data in zip(typed, raw, strict=True)
    ]
    return Bulk(rows=rows, list_all=list_all)


def _outer(body: bytes) -> tuple[_Bulk, list[bytes]]:
    try:
        bulk = _BULK.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        parts = split_events(body)
        if parts is None:
            raise
        return _BULK.decode(parts[0]), parts[1]
    return bulk, list(map(bytes, bulk.events))


def _one_by_one(raw: list[bytes], *, list_all: bool) -> Bulk:
    bulk = Bulk(rows=[], list_all=list_all)
    for data in raw:
        try:
            bulk.rows.append(_row(_event(data), data))
        except (msgspec.MsgspecError, RecursionError) as error:
            bulk.invalid.append((_name(data), _reason(error)))
    return bulk


def _event(data: bytes) -> _Event:
    try:
        return _EVENT.decode(data)
    except msgspec.ValidationError:
        # RFC 3339 knows leap seconds, the decoder does not.
        if b":60" not in data:
            raise
        return _EVENT.decode(_LEAP_SECOND.sub(rb"\g<1>59", data))


def _row(event: _Event, data: bytes) -> Row:
    return Row(event.unique_id, _plain(bytes(event.event.log_type)), _plain(bytes(event.event.hostname)), data)


def _plain(value: bytes) -> str:
    """Return the text that stands there, an empty one when it is something else."""
    return _short(msgspec.json.decode(value)) if value[:1] == b'"' else ""


def _short(value: str) -> str:
    """Return ``value``, or an empty text when it is none that events can be found by."""
    return value if len(value) <= MAX_PLAIN_CHARACTERS and "\0" not in value else ""


def _name(data: bytes) -> str:
    """Return the event's id, or as much as may be repeated of what stands there instead."""
    try:
        found = _NAMED.decode(data).unique_id
    except (msgspec.MsgspecError, RecursionError):
        # An id that is not named would count as stored, so look for it in what cannot be decoded.
        match = _PLAIN_ID.search(data)
        return match[1].decode() if match else ""
    return found[:MAX_NAMED_CHARACTERS] if isinstance(found, str) else ""


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
