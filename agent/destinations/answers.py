"""What a 2XX body says of each event (WIRE 4.2, 4.4). Pure."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from agent.destinations.base import Refusal
from agent.destinations.text import excerpt, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

LISTS = ("success_events", "discard_events", "retry_events")
RETRY = frozenset({"unprocessed", "too_busy"})
DONE = frozenset({"success", "duplicate"})


class Entry(msgspec.Struct, gc=False):
    """One AuditEventResponse. The echo in ``event`` is skipped unread."""

    unique_id: Any = None
    status: Any = None
    status_message: Any = None


class Processed(msgspec.Struct, gc=False):
    """An AuditWebhookEventsProcessed; UNSET is a member that was not sent."""

    success_events: list[Entry] | msgspec.UnsetType = msgspec.UNSET
    discard_events: list[Entry] | msgspec.UnsetType = msgspec.UNSET
    retry_events: list[Entry] | msgspec.UnsetType = msgspec.UNSET
    retry_after_date: Any = None
    retry_after_delay_seconds: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of the events of one transaction, by index; the rest is accepted."""

    rejected: dict[int, Refusal] = field(default_factory=dict)
    pending: Sequence[int] = ()
    anomalies: int = 0


_DECODER = msgspec.json.Decoder(Processed)
_ALL_DONE = Outcomes()


def decode(body: bytes) -> Processed | None:
    """Return the body as EventsProcessed, None for anything else: it applies to every event alike.

    Lenient on purpose: an entry or a list of a wrong shape must not hide a ``retry_events`` beside it.
    """
    text = body.removeprefix(codecs.BOM_UTF8).strip()
    if not text.startswith(b"{"):
        return None
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return _decode_leniently(text)
    return found if any(getattr(found, name) is not msgspec.UNSET for name in LISTS) else None


def _decode_leniently(text: bytes) -> Processed | None:
    """Decode what the strict decoder refused: odd shapes, and the NaN that many JSON writers emit."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not any(name in found for name in LISTS):
        return None
    lists = {name: [_entry(e) for e in v] for name in LISTS if isinstance(v := found.get(name), list)}
    return Processed(
        **lists,
        retry_after_date=found.get("retry_after_date"),
        retry_after_delay_seconds=found.get("retry_after_delay_seconds"),
    )


def _entry(value: object) -> Entry:
    """Return one entry of a list; what is no object names no event."""
    if not isinstance(value, dict):
        return Entry()
    return Entry(*(value.get(name) for name in ("unique_id", "status", "status_message")))


def outcomes(
    processed: Processed, *, find: Callable[[Collection[str]], Mapping[str, int]], status: int, body: bytes
) -> Outcomes:
    """Apply the rules of WIRE 4.4 to ``processed``; ``find`` tells which of some ids are the request's, and where.

    An event in several lists: success before discard before retry. In no list: done.
    """
    success, discard, retry = (getattr(processed, name) or () for name in LISTS)
    if not (success or discard or retry):
        return _ALL_DONE
    index = find(
        {e.unique_id for entries in (success, discard, retry) for e in entries if isinstance(e.unique_id, str)}
    )
    seen: list[dict[int, list[Entry]]] = []
    anomalies = 0
    for entries in (success, discard, retry):
        known: dict[int, list[Entry]] = {}
        for entry in entries:
            at = index.get(entry.unique_id) if isinstance(entry.unique_id, str) else None
            if at is None:
                anomalies += 1
            else:
                known.setdefault(at, []).append(entry)
        anomalies += sum(any(at in earlier for earlier in seen) for at in known)
        seen.append(known)
    done, discarded, retried = seen
    rejected, pending = {}, []
    excerpt_of_body = excerpt(body)
    for at in sorted((discarded.keys() | retried.keys()) - done.keys()):
        if at in discarded:
            which, entry = "discard_events", discarded[at][0]
        else:
            which, entry = "retry_events", _terminal(retried[at])
            if _is(entry.status, DONE):
                continue
            if _is(entry.status, RETRY):
                pending.append(at)
                continue
        rejected[at] = Refusal(
            counter="drop_rejected", reason=_reason(which, entry), status=status, excerpt=excerpt_of_body
        )
    return Outcomes(rejected=rejected, pending=pending, anomalies=anomalies)


def _terminal(entries: Sequence[Entry]) -> Entry:
    """Return the entry that decides when ``retry_events`` names an event more than once: terminal wins."""
    return min(entries, key=lambda e: 0 if _is(e.status, DONE) else 2 if _is(e.status, RETRY) else 1)


def _is(status: object, of: frozenset[str]) -> bool:
    """Tell whether ``status`` is one of ``of``; a status may be anything, also unhashable."""
    return isinstance(status, str) and status in of


def _reason(which: str, entry: Entry) -> str:
    """Return why an event was refused, as one line."""
    status = entry.status if isinstance(entry.status, str) else "no status"
    message = f": {entry.status_message}" if isinstance(entry.status_message, str) and entry.status_message else ""
    return one_line(f"{which} {status}{message}")
