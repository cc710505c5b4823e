"""Stored events as the API's records, each member of a type that its models take; unknown ones as they are. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.collector.store.members import AUDIT_MEMBERS, AUTH_MEMBERS
from agent.collector.store.paging import timestamp
from agent.collector.store.records import microseconds, moment

_AUDIT = frozenset({*AUDIT_MEMBERS})
_AUTH = frozenset({*AUTH_MEMBERS})
_NULLABLE = frozenset({"target_resource_name", "attribute_org_id", "attribute_name"})
_ATTRIBUTE = frozenset({"attribute_id", "attribute_type", *_NULLABLE})


class _Envelope(msgspec.Struct):
    create_time: str
    event: dict[str, Any]


class _Bare(msgspec.Struct):
    create_time: str


_DECODER = msgspec.json.Decoder(_Envelope)
_BARE = msgspec.json.Decoder(_Bare)


def audit(envelope: bytes) -> dict[str, Any]:
    """Return an event of the subsystem ``api`` as an ``Audit``."""
    event, when = _event(envelope)
    record = {key: one for key, value in event.items() if (one := _member(key, value, _AUDIT)) is not _LEFT_OUT}
    attributes = event.get("audit_attributes")
    record.pop("audit_attributes", None)
    if isinstance(attributes, list):
        record["audit_attributes"] = [_attribute(one) for one in attributes if isinstance(one, dict)]
    return {**record, "time": when}


def auth_audit(envelope: bytes) -> dict[str, Any]:
    """Return an event of the subsystem ``authentication`` as an ``AuthAudits`` record."""
    event, when = _event(envelope)
    record = {key: one for key, value in event.items() if (one := _member(key, value, _AUTH)) is not _LEFT_OUT}
    return {**record, "time": when}


_LEFT_OUT = object()


def _event(envelope: bytes) -> tuple[dict[str, Any], str]:
    """Return the event's members and its time; none but the time when it is nested too deeply to be shown."""
    try:
        whole = _DECODER.decode(envelope)
        msgspec.json.encode(whole.event)
    except (msgspec.MsgspecError, RecursionError):
        return {"description": "nested too deeply to be shown"}, _time(_BARE.decode(envelope).create_time)
    own = whole.event.get("time")
    return whole.event, _time(own if moment(own) else whole.create_time)


def _time(text: object) -> str:
    """Return a time as every client reads it; one that is read by all already, as it was written."""
    when = moment(text)
    if when is None or not isinstance(text, str):
        return timestamp(0)
    return text if ":60" not in text and len(text) <= 32 else timestamp(microseconds(when))


def _attribute(given: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, value in given.items() if (one := _member(key, value, _ATTRIBUTE)) is not _LEFT_OUT}


def _member(key: str, value: object, texts: frozenset[str]) -> object:
    if key in _NULLABLE and value is None:
        return None
    if key in texts or key in _NULLABLE:
        if value is None:
            return _LEFT_OUT
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return value
