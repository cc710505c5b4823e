"""The grammar of dt_from and dt_to (WIRE 1.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.dates import DateError, moment, rfc3339, wire

NOW = datetime(2026, 3, 31, 13, 14, 15, 678901, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 31, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOW),
        ("NOW", NOW),
        ("today", MIDNIGHT),
        ("Yesterday", MIDNIGHT - DAY),
        ("tomorrow", MIDNIGHT + DAY),
        ("now-1day", NOW - DAY),
        ("now-30d", NOW - 30 * DAY),
        ("-45d", NOW - 45 * DAY),
        ("+2h", NOW + timedelta(hours=2)),
        ("now - 1 day + 2 hrs - 3min", NOW - DAY + timedelta(hours=2, minutes=-3)),
        ("today+90m", MIDNIGHT + timedelta(minutes=90)),
        ("3 weeks ago", NOW - 21 * DAY),
        ("10s ago", NOW - timedelta(seconds=10)),
        ("1 month ago", datetime(2026, 2, 28, 13, 14, 15, 678901, tzinfo=UTC)),
        ("6 months ago", datetime(2025, 9, 30, 13, 14, 15, 678901, tzinfo=UTC)),
        ("now-1mo", datetime(2026, 2, 28, 13, 14, 15, 678901, tzinfo=UTC)),
        ("now-1m", NOW - timedelta(minutes=1)),
        ("now-2y", NOW.replace(year=2024)),
        ("2026-05-04", datetime(2026, 5, 4, tzinfo=UTC)),
        ("2026-05-04T12:00:01.250000000Z", datetime(2026, 5, 4, 12, 0, 1, 250000, tzinfo=UTC)),
        ("2026-05-04 12:00:01", datetime(2026, 5, 4, 12, 0, 1, tzinfo=UTC)),
        ("2026-05-04t12:00:01+02:00", datetime(2026, 5, 4, 10, 0, 1, tzinfo=UTC)),
        ("1777896000", datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)),
    ],
)
def test_a_date_means(text: str, wanted: datetime) -> None:
    assert moment(text, now=NOW) == wanted
    assert moment(f"  {text}\n", now=NOW) == wanted


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_no_bound(text: str) -> None:
    assert moment(text, now=NOW) is None
    assert wire(text, now=NOW) == ""


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "now-",
        "now-1",
        "now 1d",
        "now--1d",
        "-1d+2h",
        "1d",
        "now-1fortnight",
        "2026-13-01",
        "2026-02-30",
        "2026-05-04T25:00:00Z",
        "2026-05-04Z",
        "177789600",
        "17778960000",
        "now-9999y",
        "now+999999999d",
        "0001-01-01T00:00:00+05:00",
        "now-1.5d",
        "now-\u0661d",
        "1 day ago ago",
        "today-1000000000000d",
    ],
)
def test_what_is_no_date_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(DateError, match="allowed: now, today"):
        moment(text, now=NOW)


def test_today_is_that_of_utc_whatever_zone_now_is_given_in() -> None:
    there = datetime(2026, 4, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert moment("today", now=there) == MIDNIGHT


UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600}
UNITS |= {"d": 86400, "day": 86400, "w": 604800, "week": 604800}
STEPS = st.tuples(st.sampled_from("+-"), st.integers(0, 9999), st.sampled_from(sorted(UNITS)), st.booleans())
MOMENTS = st.datetimes(NOW.replace(year=1000, tzinfo=None), NOW.replace(year=9999, tzinfo=None), timezones=st.just(UTC))
BLANKS = st.sampled_from(["", " ", "\t", "   "])


@given(
    steps=st.lists(STEPS, max_size=4),
    anchor=st.sampled_from(["now", "today", "yesterday", "tomorrow"]),
    blank=BLANKS,
    upper=st.booleans(),
)
def test_anchors_and_steps_add_up_whatever_the_blanks_and_the_case(
    steps: list[tuple[str, int, str, bool]], anchor: str, blank: str, upper: bool
) -> None:
    text, wanted = anchor, {"now": NOW, "today": MIDNIGHT}.get(anchor, MIDNIGHT + DAY * (-1 if anchor[0] == "y" else 1))
    for sign, number, unit, plural in steps:
        text += f"{blank}{sign}{blank}{number}{blank}{unit}{'s' if plural else ''}"
        wanted += timedelta(seconds=UNITS[unit] * number) * (1 if sign == "+" else -1)
    assert moment(text.upper() if upper else text, now=NOW) == wanted


@given(MOMENTS)
def test_what_is_sent_means_the_same_when_it_is_read(when: datetime) -> None:
    assert moment(rfc3339(when), now=NOW) == when
    assert wire(rfc3339(when), now=NOW) == rfc3339(when)


@given(MOMENTS, st.integers(0, 500))
def test_months_are_of_the_calendar_and_keep_the_day_where_there_is_one(when: datetime, months: int) -> None:
    try:
        there = moment(f"-{months}mo", now=when)
    except DateError:
        assert when.year * 12 + when.month - 1 - months < 12
        return
    assert there is not None
    assert (when.year - there.year) * 12 + when.month - there.month == months
    assert there.day == when.day or (there.day < when.day and (there + DAY).month != there.month)
    assert there.time() == when.time()


@given(st.text(max_size=30) | st.text("now-+0123456789 dago:TZ.today", max_size=24))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    try:
        found = moment(text, now=NOW)
    except DateError:
        return
    assert found is None or found.tzinfo is UTC
