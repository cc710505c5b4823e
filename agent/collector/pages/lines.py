"""An event as one line of a list: when, what kind, where, who, what. Pure; any event gives a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.collector.store.search import Hit

USER_MEMBERS = ("user_email", "user_id", "sub", "upstream_user_id", "acct", "username", "user")
_TIMES = ("start_time", "time", "timestamp", "@timestamp")
_MESSAGES = ("message", "description", "log", "MESSAGE", "raw")
_MOST_CHARACTERS = 240


class _Envelope(msgspec.Struct, gc=False):
    unique_id: str
    create_time: str = ""
    event: dict[str, msgspec.Raw] = {}


_ENVELOPES = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a list shows of an event."""

    number: int
    unique_id: str
    time: str
    log_type: str
    hostname: str
    user: str
    what: str
    good: bool | None
    """Whether it went well, as far as the event says."""


def members(envelope: bytes) -> tuple[str, str, dict[str, msgspec.Raw]]:
    """Return id, create time and the event's members, each as it stands."""
    try:
        found = _ENVELOPES.decode(envelope)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return "", "", {}
    return found.unique_id, found.create_time, found.event


def line(hit: Hit) -> Line:
    """Return the line of a stored event."""
    unique_id, created, event = members(hit.envelope)
    return Line(
        number=hit.number,
        unique_id=unique_id,
        time=_first(event, _TIMES) or created,
        log_type=_text(event, "log_type") or "logs",
        hostname=_text(event, "hostname"),
        user=_first(event, USER_MEMBERS),
        what=_what(event)[:_MOST_CHARACTERS],
        good=_good(event),
    )


def has_user(user: str) -> Callable[[bytes], bool]:
    """Return the test whether an event names ``user``, in any of the members that name one."""
    wanted = user.casefold()

    def test(envelope: bytes) -> bool:
        event = members(envelope)[2]
        return any(wanted in _text(event, name).casefold() for name in USER_MEMBERS)

    return test


def has_text(text: str) -> Callable[[bytes], bool]:
    """Return the test whether an event's bytes hold ``text``, in any case."""
    # As it was typed, and as a string of JSON holds it, with and without escapes for what is not ASCII.
    forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    wanted = [form.lower().encode("utf-8", "replace") for form in forms]

    def test(envelope: bytes) -> bool:
        found = envelope.lower()
        if not envelope.isascii():
            found = envelope.decode("utf-8", "replace").lower().encode()
        return any(form in found for form in wanted)

    return test


def _what(event: dict[str, msgspec.Raw]) -> str:
    if "method" in event and ("path" in event or "authority" in event):
        where = _text(event, "authority") + _text(event, "path")
        return " ".join(filter(None, (_text(event, "method"), where, _text(event, "response_code"))))
    if "event_name" in event or "result" in event:
        where = _text(event, "source_ip")
        parts = (_text(event, "event_name"), _text(event, "result"), f"from {where}" if where else "")
        return " ".join(filter(None, parts))
    if "action" in event:
        target = _first(event, ("target_resource_name", "target_resource_type", "resource", "target_id"))
        return " ".join(filter(None, (_text(event, "action"), target)))
    return _first(event, _MESSAGES) or _rest(event)


def _rest(event: dict[str, msgspec.Raw]) -> str:
    """Return the members that say something of their own, for events of no known form."""
    common = {"log_type", "hostname", "source_id", "source_org_id", "source_type", "source_name", *_TIMES}
    return " ".join(f"{name}={_text(event, name)[:60]}" for name in list(event)[:20] if name not in common)


def _good(event: dict[str, msgspec.Raw]) -> bool | None:
    if (allowed := _text(event, "allowed")) in ("true", "false"):
        return allowed == "true"
    result = _text(event, "result").casefold()
    if result in ("success", "failure", "denied", "timeout"):
        return result == "success"
    code = _text(event, "response_code")
    return int(code) < 400 if code.isascii() and code.isdecimal() and len(code) == 3 else None


def _first(event: dict[str, msgspec.Raw], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(event, name))), "")


def _text(event: dict[str, msgspec.Raw], name: str) -> str:
    """Return a member as text: a string as it is, anything else as JSON; empty when there is none."""
    raw = event.get(name)
    if raw is None:
        return ""
    data = bytes(raw)
    if data[:1] != b'"':
        return "" if data == b"null" else data[:_MOST_CHARACTERS].decode("utf-8", "replace")
    try:
        found: Any = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return data[:_MOST_CHARACTERS].decode("utf-8", "replace")
    return str(found)
