"""Plain lines: each one is a message."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bodies import total
from agent.parsers import PARSERS, build
from agent.parsers.base import Common, Parsed, broken, template

MEMBERS = {"hostname": "h", "message": "of the configuration"}
TIME = "2026-01-01T00:00:00.000000Z"


def parse(data: bytes, *, start: int = 0, subsystem: str | None = None) -> Parsed:
    return build("text", Common(members=MEMBERS, subsystem=subsystem)).parse(
        data, stream="s", start=start, create_time=TIME
    )


def messages(data: bytes) -> list[str]:
    return [json.loads(body)["event"]["message"] for body in parse(data).bodies]


@given(st.lists(st.binary(max_size=12).filter(lambda b: b"\n" not in b), max_size=6))
def test_every_line_that_is_not_blank_is_a_message_at_its_offset(lines: list[bytes]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    wanted, at = [], 7
    for line in lines:
        text = (line.removesuffix(b"\r")).decode("utf-8", "replace")
        if text and not text.isspace():
            wanted.append((at, f"s.{at:x}", text))
        at += len(line) + 1
    parsed = parse(data, start=7)
    found = [json.loads(body) for body in parsed.bodies]
    assert [(o, e["unique_id"], e["event"]["message"]) for o, e in zip(parsed.offsets, found, strict=True)] == wanted


PLAIN = st.text(alphabet=" ab%0é€\u00a0\u2003\u2028\x7f\x85😀", max_size=6)
ODD = st.text(alphabet=' ab"\\\t\r\0\x1c\ufeff', max_size=6)


@given(st.lists(PLAIN, max_size=8), st.lists(ODD, max_size=2), st.integers(0, 300))
def test_lines_that_are_passed_through_are_what_encoding_them_gives(
    plain: list[str], odd: list[str], start: int
) -> None:
    data = "".join(line + "\n" for line in plain).encode()
    alone, beside = parse(data, start=start), parse(data + "".join(line + "\n" for line in odd).encode(), start=start)
    count = len(alone.bodies)
    assert list(alone.offsets) == list(beside.offsets)[:count]
    assert list(alone.bodies) == list(beside.bodies)[:count]
    assert total(alone.bodies) == sum(map(len, alone.bodies))
    assert list(alone.bodies) == [
        template(stream="s", create_time=TIME, members={"hostname": "h", "log_type": "logs"})
        % (offset, b'"message":' + msgspec.json.encode(line))
        for offset, line in zip(alone.offsets, (line for line in plain if line.strip()), strict=True)
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"plain", "plain"),
        (b"  indented ", "  indented "),
        (b"windows\r", "windows"),
        (b"a\rb", "a\rb"),
        (b"nul\0", "nul\0"),
        (b"\xff", "\ufffd"),
        (b'quote " slash \\ percent %s %', 'quote " slash \\ percent %s %'),
        ("line\u2028separator\x85".encode(), "line\u2028separator\x85"),
        ("€ 😀".encode(), "€ 😀"),
    ],
)
def test_a_line_is_kept_as_it_is(line: bytes, message: str) -> None:
    assert messages(line + b"\n") == [message]


def test_blank_lines_are_no_events() -> None:
    assert messages(b"\n \n\r\n\t\nx\n\n") == ["x"]
    assert messages(b"") == []


def test_the_source_names_the_log_type() -> None:
    assert parse(b"x\n").log_types == "logs"
    parsed = parse(b"x\n", subsystem="access")
    assert parsed.log_types == "access"
    assert json.loads(parsed.bodies[0])["event"] == {"hostname": "h", "log_type": "access", "message": "x"}


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_anything_and_needs_no_members(name: str) -> None:
    parser = PARSERS[name](Common(members={}))
    parsed = parser.parse(b"\xff{\0\n[]\n", stream="s", start=0, create_time=TIME)
    assert [json.loads(body)["unique_id"] for body in parsed.bodies] == ["s.0", "s.4"]


def test_a_cut_line_says_how_long_it_was() -> None:
    event = json.loads(b"{%b}" % broken(b"abc\xff", common=Common(members=MEMBERS), error="too long", length=99))
    assert event["raw"] == "abc\ufffd"
    assert (event["truncated"], event["line_bytes"], event["parse_error"]) == (True, 99, "too long")
