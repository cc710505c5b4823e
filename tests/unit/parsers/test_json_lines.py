"""JSON lines: valid lines pass through, everything else still becomes an event."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.parsers import build
from agent.parsers.base import Common

MEMBERS = {"hostname": "h", "source_id": "g", "source_name": "100 %b", "n": 1}
STREAM = "0123456789abcdef" * 2
TIME = "2026-01-01T00:00:00.000000Z"


def parse(data: bytes, *, subsystem: str | None = None, start: int = 0) -> list[dict[str, Any]]:
    """Return the events of ``data``, having checked every envelope."""
    parser = build("json", Common(members=MEMBERS, subsystem=subsystem))
    parsed = parser.parse(data, stream=STREAM, start=start, create_time=TIME)
    kinds = parsed.log_types
    types = [kinds] * len(parsed.bodies) if isinstance(kinds, str) else list(kinds)
    assert len(parsed.offsets) == len(parsed.bodies) == len(types)
    events = []
    for offset, body, kind in zip(parsed.offsets, parsed.bodies, types, strict=True):
        assert b"\n" not in body
        envelope = strict(body)
        assert list(envelope) == ["unique_id", "create_time", "event"]
        assert envelope["unique_id"] == f"{STREAM}.{offset:x}"
        assert re.fullmatch(r"[a-zA-Z0-9\-._]{1,64}", envelope["unique_id"])
        assert envelope["create_time"] == TIME
        event = envelope["event"]
        assert kind == (event["log_type"] if isinstance(event["log_type"], str) else "logs")
        events.append(event)
    assert parsed.errors == sum("parse_error" in event for event in events)
    return events


def strict(data: bytes) -> Any:
    """Parse as the standard says: UTF-8, no NaN, no member twice."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(data.decode(), parse_constant=refuse)


def expected(line: bytes, subsystem: str | None = None) -> dict[str, Any]:
    """Say what becomes of a line that is an object."""
    event = {"log_type": subsystem or "logs", **MEMBERS, **json.loads(line)}
    return event | ({"log_type": subsystem} if subsystem else {})


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.one_of(st.text(max_size=6), st.sampled_from([*MEMBERS, "log_type", "message"]))
objects = st.dictionaries(names, values, max_size=5)
spacing = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :\t")])
lines = st.builds(
    lambda value, ascii_only, space, pad: (
        pad + json.dumps(value, ensure_ascii=ascii_only, separators=space).encode() + pad
    ),
    objects.map(lambda o: json.loads(json.dumps(o).encode("utf-8", "replace"))),
    st.booleans(),
    spacing,
    st.sampled_from([b"", b"", b" ", b"\r"]),
).filter(lambda line: b"\\ud" not in line)


@given(st.lists(lines, max_size=6), st.sampled_from([None, "access"]))
def test_every_object_becomes_itself_plus_what_it_lacks(found: list[bytes], subsystem: str | None) -> None:
    data = b"".join(line + b"\n" for line in found)
    assert parse(data, subsystem=subsystem) == [expected(line, subsystem) for line in found]


@given(
    st.lists(
        st.one_of(lines, st.binary(max_size=30), st.sampled_from([b"{", b"}", b"", b'{"', b'"}', b"{}", b"[]"])),
        max_size=6,
    )
)
def test_a_chunk_and_its_lines_one_by_one_give_the_same(pieces: list[bytes]) -> None:
    data = b"".join(piece + b"\n" for piece in pieces)
    one_by_one, at = [], 0
    for line in data.split(b"\n")[:-1]:
        one_by_one += parse(line + b"\n", start=at)
        at += len(line) + 1
    assert parse(data) == one_by_one


_kinds = st.sampled_from(["a", "b", "c", "d", "e", "f", "logs", 1, True, None, {}, ["a"]])
_own = st.sampled_from([{}, {}, {}, {"hostname": "h"}, {"hostname": 2}, {"n": None}, {"hostname": "h", "n": {}}])


@given(
    st.lists(st.builds(lambda kind, own, x: {"log_type": kind, **own, "x": x}, _kinds, _own, st.integers(0, 2))),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=9),
)
def test_lines_of_several_subsystems_are_wrapped_as_each_alone(odd: list[dict[str, Any]], even: list[str]) -> None:
    alike: list[dict[str, Any]] = [{"log_type": kind, "x": n} for n, kind in enumerate(even)]
    for records in (alike, odd, [*alike, *odd], [*alike, *odd[:1]]):
        lines = [json.dumps(record).encode() + b"\n" for record in records]
        starts = accumulate(map(len, lines), initial=0)
        assert parse(b"".join(lines)) == [parse(line, start=at)[0] for line, at in zip(lines, starts, strict=False)]


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_or_write_invalid_json(data: bytes) -> None:
    parse(data.replace(b"\n", b" ") + b"\n")


@given(
    st.lists(
        st.sampled_from([*'{}[]:,"\\u0d8ntrue 1.e-+', '"a"', '{"', '"}', "null", "\\ud800", "\n", "\x01", "\x7f"]),
        max_size=14,
    ).map(lambda parts: '{"a":' + "".join(parts) + "}")
)
def test_what_is_passed_through_is_what_the_standard_allows(text: str) -> None:
    lines = text.split("\n")
    events = parse(text.encode() + b"\n")
    assert len(events) == sum(bool(line.strip(" \t\r\n\0")) for line in lines)
    for line, event in zip([line for line in lines if line.strip(" \t\r\n\0")], events, strict=True):
        try:
            valid = isinstance(strict(line.encode()), dict)
        except ValueError:
            valid = False
        if "parse_error" not in event or "parse_error" in line:
            assert valid


HOSTILE = [
    b"[1]",
    b"1",
    b'"text"',
    b"null",
    b"plain text",
    b"{",
    b'{"a":1',
    b'{"a":1}}',
    b'{"a":1}{"b":2}',
    b'{"a":1} {"b":2}',
    b'{"a":1},{"b":2}',
    b'{"a":"tab\tinside"}',
    b'{"a":"\\q"}',
    b'{"a":01}',
    b'{"a":NaN}',
    b"{'a':1}",
    b'{"a":1,}',
    b"{a:1}",
    b'{"a":"nul \0 inside"}',
    b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: line[:20].decode())
def test_a_line_that_is_no_object_keeps_its_text_and_the_reason(line: bytes) -> None:
    before, event, after = parse(b'{"n":1}\n' + line + b'\n{"n":2}\n')
    assert (before["n"], after["n"]) == (1, 2)
    assert event["raw"] == line.decode()
    assert event["parse_error"]
    assert event["hostname"] == "h"
    assert event["log_type"] == "logs"


def test_an_object_over_two_lines_is_two_events_and_no_byte_is_lost() -> None:
    events = parse(b'{"a":1}\n{"b":\n{"c":1}}\n{"d":1}\n')
    assert [event.get("raw") for event in events] == [None, '{"b":', '{"c":1}}', None]


def test_two_lines_whose_line_feed_falls_inside_a_value_are_not_mistaken_for_two_objects() -> None:
    events = parse(b'{"a":[{"b":1}\n{"c":1}]}{"d":1}\n')
    assert [event["raw"] for event in events] == ['{"a":[{"b":1}', '{"c":1}]}{"d":1}']


@pytest.mark.parametrize(
    ("line", "own"),
    [
        (b"{}", {}),
        (b"{ }", {}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":1}\r', {"a": 1}),
        (b'\0\0\0{"a":1}\0', {"a": 1}),
        (b'{"a":"\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'{"a":"\xed\xa0\x80"}', {"a": "\ufffd" * 3}),
        (b'{"a":"%s %b %%"}', {"a": "%s %b %%"}),
        ('{"ä":"€ 😀"}'.encode(), {"ä": "€ 😀"}),
        (b'{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"hostname":null}', {"hostname": None}),
    ],
)
def test_a_strange_line_that_is_an_object_is_an_object(line: bytes, own: dict[str, Any]) -> None:
    assert parse(line + b"\n") == [{"log_type": "logs", **MEMBERS, **own}]


def test_a_byte_order_mark_elsewhere_is_an_error_not_an_object() -> None:
    assert "parse_error" in parse(b'{"a":1}\n\xef\xbb\xbf{"a":1}\n')[1]


@pytest.mark.parametrize("subsystem", [None, "access"])
@pytest.mark.parametrize("own", ["authentication", "", 7, None, ["x"]])
def test_an_events_own_log_type_wins_unless_the_source_names_one(subsystem: str | None, own: object) -> None:
    line = json.dumps({"log_type": own, "a": 1}).encode()
    for data in (line + b"\n", line + b'\n{"a":2}\n', b"{}\n" + line + b"\n"):
        events = parse(data, subsystem=subsystem)
        event = next(e for e in events if e.get("a") == 1)
        assert event["log_type"] == (subsystem or own)


def test_blank_lines_are_no_events() -> None:
    assert parse(b"\n \r\n\0\0\n\t\n") == []


def test_offsets_are_those_of_the_lines() -> None:
    parser = build("json", Common(members={}))
    for data in (b'{"a":1}\n{"a":22}\n{"b":3}\n', b'\n{"a":1}\nx\n'):
        parsed = parser.parse(data, stream=STREAM, start=1000, create_time=TIME)
        starts = [match.start() + 1000 for match in re.finditer(rb"[^\n]+", data)]
        assert list(parsed.offsets) == starts
