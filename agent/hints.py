"""How long a destination wants to be left alone: every form of hint, in seconds (WIRE 4.4 rule 6). Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Names are spelt out because strptime's depend on the locale.
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_TIME} GMT",
        rf"[A-Z][a-z]+day, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_TIME} GMT",
        rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_SECONDS = re.compile(r"\d+", re.ASCII)


def retry_after_seconds(
    *,
    retry_after: Iterable[str] = (),
    date: str | None = None,
    body_date: object = None,
    body_seconds: object = None,
    now: datetime,
    cap: float,
) -> float | None:
    """Return the latest valid hint in seconds, at most ``cap``; None when there is none.

    ``retry_after`` and ``date`` are the response's headers of these names, ``body_date`` and ``body_seconds``
    its ``retry_after_date`` and ``retry_after_delay_seconds``. Dates count from the response's own ``date``
    when it has one, so that a receiver's wrong clock does no harm. What is past, negative, zero or not a
    number is ignored.
    """
    origin = http_date(date, now=now) if date else None
    delays = _delays(retry_after, body_date, body_seconds, origin or now)
    latest = max((d for d in delays if d > 0), default=None)
    return None if latest is None else min(latest, cap)


def _delays(retry_after: Iterable[str], body_date: object, body_seconds: object, origin: datetime) -> Iterator[float]:
    """Yield every hint that can be read, in seconds from ``origin``, also the useless ones."""
    for text in retry_after:
        value = text.strip()
        if _SECONDS.fullmatch(value):
            yield float(value[:18])
        elif when := http_date(value, now=origin):
            yield (when - origin).total_seconds()
    if isinstance(body_date, str) and (when := rfc3339(body_date)):
        yield (when - origin).total_seconds()
    if (seconds := _number(body_seconds)) is not None:
        yield seconds


def _number(value: object) -> float | None:
    """Return ``value`` when it is a finite JSON number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def http_date(text: str, *, now: datetime) -> datetime | None:
    """Parse an IMF-fixdate, RFC 850 or asctime date (RFC 9110 5.6.7), None when it is none of them.

    A two-digit year is the one less than 50 years before ``now``, or at most 50 after it.
    """
    match = next((m for form in _FORMS if (m := form.fullmatch(text.strip()))), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:  # RFC 850
        year += now.year // 100 * 100
        if year > now.year + 50:
            year -= 100
        elif year <= now.year - 50:
            year += 100
    try:
        return datetime(
            year,
            _MONTHS[match["month"]],
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"]), 59),  # a leap second
            tzinfo=UTC,
        )
    except (KeyError, ValueError):
        return None


def rfc3339(text: str) -> datetime | None:
    """Parse an RFC 3339 date-time; one that names no zone is UTC."""
    try:
        when = datetime.fromisoformat(text.strip().upper())
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
