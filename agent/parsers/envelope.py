"""Ready AuditEvents, one a line: passed through with the id and the time they have (WIRE 3.1, 11.8)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET

from agent.parsers.base import Common, Parsed
from agent.parsers.json_lines import JsonLines

_BLANK = b" \t\r\n\0"
_MOST_ID_CHARACTERS = 256


class Envelopes:
    """One AuditEvent a line; its id never changes. Common members are added to its event where that lacks them.

    A line that is none is taken as the format ``json`` takes it: a bare event object, else raw text with the error.
    """

    def __init__(self, common: Common) -> None:
        """Prepare a decoder that looks at nothing but the id and the members that may have to be added."""
        self._common = common
        self._bare = JsonLines(common)
        self._defaults: dict[str, Any] = {"log_type": common.log_type, **common.members}
        names = list(self._defaults)
        inside = msgspec.defstruct(
            "Inside",
            [(f"member_{i}", msgspec.Raw | msgspec.UnsetType, UNSET) for i in range(len(names))],
            rename={f"member_{i}": name for i, name in enumerate(names)},
            gc=False,
        )
        pattern = msgspec.Meta(pattern=r"^[a-zA-Z0-9\-._]+\Z", max_length=_MOST_ID_CHARACTERS)
        envelope = msgspec.defstruct(
            "Envelope", [("unique_id", Annotated[str, pattern]), ("create_time", str), ("event", inside)], gc=False
        )
        self._names = {f"member_{i}": name for i, name in enumerate(names)}
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope)

    def parse(self, data: bytes, *, stream: str, start: int, create_time: str) -> Parsed:
        """Return one event per line that is not blank; only a line that is no envelope gets a new id."""
        offsets, bodies, log_types, errors, at = [], [], [], 0, start
        for line in data.split(b"\n")[:-1]:
            text = line.strip(_BLANK)
            if text:
                try:
                    body, log_type = self._one(text)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    one = self._bare.parse(text + b"\n", stream=stream, start=at, create_time=create_time)
                    body, errors = one.bodies[0], errors + one.errors
                    log_type = one.log_types if isinstance(one.log_types, str) else one.log_types[0]
                offsets.append(at)
                bodies.append(body)
                log_types.append(log_type)
            at += len(line) + 1
        return Parsed(offsets=offsets, bodies=bodies, log_types=log_types, errors=errors)

    def _one(self, text: bytes) -> tuple[bytes, str]:
        """Return the event's bytes and its subsystem; raises what the decoders raise on anything but an envelope."""
        if not text.isascii():
            text.decode()
        inside = self._decoder.decode(text).event
        missing = {name: self._defaults[name] for slot, name in self._names.items() if getattr(inside, slot) is UNSET}
        own = getattr(inside, "member_0")  # noqa: B009 # the probe's class is made at run time
        log_type = self._common.log_type if own is UNSET else _text(own)
        return (_with(text, missing) if missing else text), log_type


def _text(value: msgspec.Raw) -> str:
    """Return a subsystem; ``logs`` when it is no text."""
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, RecursionError):
        return "logs"


def _with(text: bytes, missing: dict[str, Any]) -> bytes:
    """Return the envelope with ``missing`` added to its event, everything else byte for byte."""
    parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    event = bytes(parts["event"]).strip()[1:-1].strip()
    added = msgspec.json.encode(missing)[1:-1]
    parts["event"] = msgspec.Raw(b"{" + b",".join(part for part in (added, event) if part) + b"}")
    return msgspec.json.encode(parts)
