"""Text for people: escaped, and nothing in it hidden."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collector.pages.shown import duration, moment, number, place, size, visible


@given(st.text())
def test_no_text_gives_markup_or_a_hidden_character(text: str) -> None:
    shown = str(visible(text)).replace('<span class="ctl">', "").replace("</span>", "")
    assert not {"<", ">", '"'} & set(shown)
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs") for c in shown)


def test_a_character_that_turns_the_writing_is_named() -> None:
    assert str(visible("a\u202eb")) == 'a<span class="ctl">U+202E</span>b'


def test_lines_stay_only_where_they_are_wanted() -> None:
    assert str(visible("a\n\tb", lines=True)) == "a\n\tb"
    assert "U+000A" in str(visible("a\nb"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (59, "59 s"),
        (60, "1 min"),
        (734, "12 min 14 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_sizes_numbers_and_times() -> None:
    assert [size(n) for n in (0, 1023, 1024, 48_000_000)] == ["0 B", "1023 B", "1.0 KiB", "45.8 MiB"]
    assert [number(n) for n in (0, 0.5, 12.34, 1234567)] == ["0", "0.5", "12.3", "1\u202f234\u202f567"]
    assert moment(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://soc.example.net/hook/key?code=key#key", "https://soc.example.net"),
        ("https://user:key@soc.example.net:8443/", "https://soc.example.net:8443"),
        ("http://[fe80::1]:8080/x", "http://[fe80::1]:8080"),
        ("https://soc.example.net:key/", ""),
        ("https:user:key@soc.example.net", ""),
        ("user:key@soc.example.net", ""),
        ("key@soc.example.net", ""),
        ("file:///var/log/a.log?max_size=1", "file:///var/log/a.log"),
        ("/var/log/a@b.log", "/var/log/a@b.log"),
        ("", ""),
    ],
)
def test_of_a_location_only_what_is_no_key_is_shown(location: str, shown: str) -> None:
    assert place(location) == shown
