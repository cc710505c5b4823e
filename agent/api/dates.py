"""The grammar of ``dt_from`` and ``dt_to`` (WIRE 1.4). Pure.

::

    now-1day   today   -45d   6 months ago   now - 1 day + 2h   2026-05-04   2026-05-04T12:00:00Z   1777896000

Case does not matter, nor do blanks around operators. Days, weeks and anchors are those of UTC; months and years are
calendar arithmetic, clamped to the end of the month.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

ALLOWED = (
    "now, today, yesterday, tomorrow, now-1day, -45d, '6 months ago', 2026-05-04, 2026-05-04T12:00:00Z, 1777896000"
)
_DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
_UNITS = {
    **dict.fromkeys(("s", "sec", "second"), "seconds"),
    **dict.fromkeys(("m", "min", "minute"), "minutes"),
    **dict.fromkeys(("h", "hr", "hour"), "hours"),
    **dict.fromkeys(("d", "day"), "days"),
    **dict.fromkeys(("w", "week"), "weeks"),
    **dict.fromkeys(("mo", "month"), "months"),
    **dict.fromkeys(("y", "year"), "years"),
}
# Longest first: "mo" is no minute with something after it.
_UNIT = f"(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})s?"
# More than nine digits are no distance anybody means, and beyond what a date can hold.
_AMOUNT = rf"(?P<number>\d{{1,9}})\s*(?P<unit>{_UNIT})"
_STEP = re.compile(rf"\s*(?P<sign>[+-])\s*{_AMOUNT}\s*", re.ASCII)
_AGO = re.compile(rf"{_AMOUNT}\s*ago", re.ASCII)
_ANCHORED = re.compile(r"(?P<anchor>now|today|yesterday|tomorrow)(?P<steps>.*)", re.ASCII | re.DOTALL)
_EPOCH = re.compile(r"\d{10}", re.ASCII)
_ABSOLUTE = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[t ](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?\s?(?P<zone>z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


class DateError(ValueError):
    """The text is no date expression; the message says what is allowed."""


def moment(text: str, *, now: datetime) -> datetime | None:
    """Return the moment ``text`` names, in UTC; None for no bound (the empty text). ``now`` must have a zone.

    Raises ``DateError``.
    """
    plain = text.strip().lower()
    if not plain:
        return None
    now = now.astimezone(UTC)
    try:
        found = _relative(plain, now) or _absolute(plain)
    except (ValueError, OverflowError) as error:
        raise DateError(f"found {_shown(text)}, which is no date ({error}); allowed: {ALLOWED}") from None
    if found is None:
        raise DateError(f"found {_shown(text)}; allowed: {ALLOWED}")
    return found


def wire(text: str, *, now: datetime) -> str:
    """Return ``text`` as every server reads it: RFC 3339 in UTC, or empty. Raises ``DateError``."""
    found = moment(text, now=now)
    return "" if found is None else rfc3339(found)


def rfc3339(when: datetime) -> str:
    """Return ``when`` in UTC with ``Z``."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _relative(text: str, now: datetime) -> datetime | None:
    if ago := _AGO.fullmatch(text):
        return _moved(now, "-", ago)
    if step := _STEP.fullmatch(text):
        return _moved(now, step["sign"], step)
    anchored = _ANCHORED.fullmatch(text)
    if anchored is None:
        return None
    at = now
    if anchored["anchor"] != "now":
        at = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=_DAYS[anchored["anchor"]])
    steps, position = anchored["steps"], 0
    while position < len(steps):
        each = _STEP.match(steps, position)
        if each is None:
            return None
        at, position = _moved(at, each["sign"], each), each.end()
    return at


def _moved(when: datetime, sign: str, amount: re.Match[str]) -> datetime:
    """Return ``when`` moved by an amount. Raises ``OverflowError`` or ``ValueError`` beyond the years 1 to 9999."""
    number = int(amount["number"]) * (-1 if sign == "-" else 1)
    name = amount["unit"]
    unit = _UNITS.get(name) or _UNITS[name.removesuffix("s")]
    if unit in ("months", "years"):
        return _months(when, number * (12 if unit == "years" else 1))
    return when + timedelta(**{unit: number})


def _months(when: datetime, months: int) -> datetime:
    year, month = divmod(when.year * 12 + when.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("date value out of range")
    day = min(when.day, calendar.monthrange(year, month + 1)[1])
    return when.replace(year=year, month=month + 1, day=day)


def _absolute(text: str) -> datetime | None:
    if _EPOCH.fullmatch(text):
        return datetime.fromtimestamp(int(text), UTC)
    parts = _ABSOLUTE.fullmatch(text)
    if parts is None:
        return None
    fraction = (parts["fraction"] or "0")[:6].ljust(6, "0")
    zone = (parts["zone"] or "z").replace("z", "+00:00")
    when = datetime.fromisoformat(f"{parts['date']}T{_clock(parts['time'])}.{fraction}{zone}")
    return when.astimezone(UTC)


def _clock(text: str | None) -> str:
    if text is None:
        return "00:00:00"
    return text if len(text) > len("00:00") else f"{text}:00"
