"""One refused event, with why; a line of a file of rejects (pure)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from agent.destinations.base import Refusal

EXCERPT_CHARACTERS = 1000


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """One refused event, with why."""

    time: str
    destination: str
    counter: str
    """The drop counter of WIRE 9.1."""
    reason: str
    status: int | None = None
    excerpt: str = ""
    event: msgspec.Raw
    """The envelope, byte for byte as it was sent."""

    @property
    def unique_id(self) -> str:
        """The event's id; empty when its envelope has none."""
        try:
            return _IDS.decode(self.event).unique_id
        except msgspec.DecodeError:
            return ""


class _Id(msgspec.Struct):
    unique_id: str = ""


_IDS = msgspec.json.Decoder(_Id)
_REJECTS = msgspec.json.Decoder(Reject)


def encode(event: bytes, refusal: Refusal, *, destination: str, time: str) -> bytes:
    """Return the line for ``event``, without its newline. Compact JSON holds none."""
    return msgspec.json.encode(
        Reject(
            time=time,
            destination=destination,
            counter=refusal.counter,
            reason=_encodable(refusal.reason),
            status=refusal.status,
            excerpt=_encodable(refusal.excerpt[:EXCERPT_CHARACTERS]),
            event=msgspec.Raw(event),
        )
    )


def decode(line: bytes) -> Reject | None:
    """Return the reject of a line; None when the line is damaged."""
    try:
        return _REJECTS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def timestamp(moment: datetime | None = None) -> str:
    """Return ``moment``, or now, as rejects bear it: UTC, to the microsecond; it sorts as text."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _encodable(text: str) -> str:
    # A response may hold half of a surrogate pair: no reason to keep its refusal from the disk.
    return text.encode("utf-8", "replace").decode()
