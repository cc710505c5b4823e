"""What every parser shares: the members common to all events, and how an event's bytes are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What a source adds to its events where they lack it (WIRE 3.2, 11)."""

    members: Mapping[str, Any]
    """``hostname``, ``source_id``, ``source_org_id``, ``source_type``, ``source_name`` and the configured fields."""
    subsystem: str | None = None
    """The events' log_type; None: taken from the event, else ``logs``."""

    @property
    def log_type(self) -> str:
        """The subsystem of an event that names none."""
        return self.subsystem or "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The events of one chunk, column by column; ``offsets[i]`` is where line ``i`` starts in the stream."""

    offsets: Sequence[int]
    bodies: Sequence[bytes]
    log_types: str | Sequence[str]
    errors: int = 0


class Parser(Protocol):
    """Turns complete lines into events. Never raises on any input: a line that does not parse is still an event."""

    def parse(self, data: bytes, *, stream: str, start: int, create_time: str) -> Parsed:
        """Parse ``data``: lines of ``stream`` from offset ``start`` on, each ended by ``\\n``.

        ``create_time`` is the RFC 3339 time written into every envelope. Blank lines are no events.
        """
        ...


def template(*, stream: str, create_time: str, members: Mapping[str, Any]) -> bytes:
    """Return a ``%`` template for events: ``template % (offset, rest)``.

    ``rest`` is the inside of the event's object after ``members``, without the closing brace; it must not be empty.
    """
    inside = msgspec.json.encode(members)[1:-1] + b"," if members else b""
    fixed = b'","create_time":"%b","event":{%b' % (create_time.encode(), inside)
    return b'{"unique_id":"%b.%%x' % stream.encode() + fixed.replace(b"%", b"%%") + b"%b}}"


def broken(line: bytes, *, common: Common, error: str, length: int | None = None) -> bytes:
    """Return the inside of an event for a line that could not be parsed or was cut (WIRE 11)."""
    members = {**common.members, "log_type": common.log_type, "parse_error": error}
    if length is not None:
        members |= {"truncated": True, "line_bytes": length}
    members["raw"] = line.decode("utf-8", "replace")
    return msgspec.json.encode(members)[1:-1]
