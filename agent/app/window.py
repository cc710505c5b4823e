"""A feed restricted to events of a time window, for ``backfill --since/--until``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from agent.app.options import Window
    from agent.events import Block
    from agent.sources.feed import Feed

TIME_FIELDS = ("time", "timestamp", "@timestamp", "ts", "start_time", "eventTime", "requestReceivedTimestamp")
"""Where an event's time is looked for when its source names no ``time_field``."""

_EPOCH_MS = 1e11


class _Envelope(msgspec.Struct):
    event: dict[str, Any]


_DECODER = msgspec.json.Decoder(_Envelope)


class InWindow:
    """Passes on blocks with only the events of the window; an event whose time cannot be told is sent."""

    def __init__(self, feed: Feed, window: Window) -> None:
        """Filter what ``feed`` gives."""
        self._feed = feed
        self._window = window
        self.skipped = 0
        """Events outside the window."""

    async def next(self) -> Block | None:
        """Return the next block; it covers the same bytes, with fewer events."""
        block = await self._feed.next()
        if block is None:
            return None
        field = self._feed.time_field(block.source)
        kept = [i for i, body in enumerate(block.bodies) if self._inside(event_time(body, field))]
        if len(kept) == len(block.bodies):
            return block
        self.skipped += len(block.bodies) - len(kept)
        return block.keep(kept)

    def _inside(self, moment: datetime | None) -> bool:
        if moment is None:
            return True
        since, until = self._window.since, self._window.until
        return (since is None or moment >= since) and (until is None or moment < until)


def event_time(body: bytes, field: str | None) -> datetime | None:
    """Return when the event happened, None when it does not say; a time without zone is UTC."""
    event = _DECODER.decode(body).event
    for name in (field,) if field else TIME_FIELDS:
        found: Any = event.get(name)
        if found is None and "." in name:
            found = event
            for part in name.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        if (moment := _moment(found)) is not None:
            return moment
    return None


def _moment(value: object) -> datetime | None:
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > _EPOCH_MS else value, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
