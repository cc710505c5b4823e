"""Hints of when to come back (WIRE 4.4 rule 6, RFC 9110 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.hints import http_date, retry_after_seconds

NOW = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC)


def delay(**hints: Any) -> float | None:
    return retry_after_seconds(now=NOW, cap=3600, **hints)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "  Sun, 06 Nov 1994 08:49:37 GMT  ",
    ],
)
def test_all_three_forms_of_an_http_date_are_read(text: str) -> None:
    assert http_date(text, now=NOW) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert delay(retry_after=[text]) == 37


@pytest.mark.parametrize(("year", "century"), [("44", 2044), ("45", 1945), ("94", 1994), ("00", 2000)])
def test_a_two_digit_year_is_at_most_fifty_years_ahead(year: str, century: int) -> None:
    found = http_date(f"Monday, 07-Nov-{year} 00:00:00 GMT", now=NOW)
    assert found is not None
    assert found.year == century


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "-5", "+5", "1.5", "5s", "٣", "1,000", "5, 10",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37", "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:48:00 GMT",  # past
        "0",
    ],
)  # fmt: skip
def test_what_is_no_retry_after_is_ignored(text: str) -> None:
    assert delay(retry_after=[text]) is None


def test_seconds_are_seconds() -> None:
    assert delay(retry_after=["120"]) == 120


def test_an_absurd_delay_is_capped() -> None:
    assert delay(retry_after=["9" * 400]) == 3600
    assert delay(retry_after=["Sun, 06 Nov 2094 08:49:37 GMT"]) == 3600
    assert delay(body_seconds=1e300) == 3600


def test_dates_count_from_the_date_of_the_response() -> None:
    skewed = "Sun, 06 Nov 1994 09:49:00 GMT"  # the receiver's clock is an hour ahead
    assert delay(retry_after=["Sun, 06 Nov 1994 09:49:37 GMT"], date=skewed) == 37
    assert delay(body_date="1994-11-06T09:49:10Z", date=skewed) == 10


def test_an_unreadable_date_of_the_response_means_local_time() -> None:
    assert delay(retry_after=["Sun, 06 Nov 1994 08:49:37 GMT"], date="yesterday") == 37


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1994-11-06T08:49:37Z", 37),
        ("1994-11-06T08:49:37.123456789Z", 37.123456),
        ("1994-11-06T10:49:37+02:00", 37),
        ("1994-11-06t08:49:37z", 37),
        ("1994-11-06T08:48:00Z", None),
        ("soon", None),
        ("", None),
        (37, None),
        (None, None),
        (["1994-11-06T08:49:37Z"], None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_retry_after_date_is_rfc_3339(text: object, seconds: float | None) -> None:
    assert delay(body_date=text) == (pytest.approx(seconds) if seconds else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1.5, 1.5), (7, 7), (0, None), (-3, None), (float("nan"), None), (float("inf"), None), (True, None),
        ("5", None), (None, None), ([5], None), (10**400, None),
    ],
)  # fmt: skip
def test_retry_after_delay_seconds_is_a_positive_number(value: object, seconds: float | None) -> None:
    assert delay(body_seconds=value) == seconds


def test_the_latest_of_all_hints_wins() -> None:
    hints = {"retry_after": ["5", "9"], "body_date": "1994-11-06T08:49:20Z", "body_seconds": 3.0}
    assert delay(**hints) == 20
    assert delay(**{**hints, "body_seconds": 40.0}) == 40
    assert delay(**{**hints, "retry_after": ["50"]}) == 50


def test_an_invalid_hint_does_not_spoil_a_valid_one() -> None:
    assert delay(retry_after=["soon"], body_date="never", body_seconds=4) == 4


def test_no_hint_is_none() -> None:
    assert delay() is None
    assert retry_after_seconds(now=NOW + timedelta(days=1), cap=1) is None
