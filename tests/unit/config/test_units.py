"""Sizes and durations are read as people mean them, and written back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.units import format_bytes, format_seconds, parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1B", 1),
        ("1kB", 1000),
        ("1KiB", 1024),
        ("1.5 GB", 1_500_000_000),
        ("0.5MiB", 512 * 1024),
        (" 8MiB ", 8 * 1024 * 1024),
        ("2TiB", 2 * 1024**4),
        ("3TB", 3 * 1000**4),
    ],
)
def test_a_size_is_read_with_and_without_units(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "-1", "1KB", "1 mib", "1e3", "0x10", "1.5", "1.5B", "MiB", "1MiB2", "\u0661MiB", "9" * 40]
)
def test_what_is_no_size_is_refused_with_the_units_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="kB MB GB TB KiB MiB GiB TiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2.5", 2.5),
        ("20ms", 0.02),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d 12h", 129_600.0),
        ("1m500ms", 60.5),
        ("1.5h", 5400.0),
    ],
)
def test_a_duration_is_read_with_and_without_units(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1s", "1 s", "30m1h", "1m1m", "5 parsecs", "1:30", "s", "1h30", "1e3", "inf", "nan"]
)
def test_what_is_no_duration_is_refused_with_the_units_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="units ms s m h d"):
        parse_seconds(text)


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_size_comes_back_from_its_text(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == size


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_comes_back_from_its_text_to_the_millisecond(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_seconds(format_seconds(seconds)) == pytest.approx(seconds, abs=0.0005)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_bytes, parse_seconds):
        try:
            outcome = str(parse(text) >= 0)
        except ValueError as error:
            outcome = str(error)
        assert outcome == "True" or "such as" in outcome


def test_texts_are_short() -> None:
    assert [format_bytes(n) for n in (0, 1, 1000, 1024, 1536, 8 * 1024 * 1024)] == [
        "0",
        "1",
        "1kB",
        "1KiB",
        "1536",
        "8MiB",
    ]
    assert [format_seconds(n) for n in (0, 0.02, 90, 300, 86400)] == ["0s", "20ms", "1m30s", "5m", "1d"]
