"""Ready AuditEvents pass through; what they lack is added, what they are called never changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.events import Slice, Transaction
from agent.parsers import build
from agent.parsers.base import Common, Parsed

MEMBERS = {"hostname": "h", "source_id": "g"}
TIME = "2026-05-04T12:00:00Z"
FULL = (
    b'{"unique_id":"own-1","create_time":"2020-01-01T00:00:00Z",'
    b'"event":{"log_type":"access","hostname":"x","source_id":1}}'
)


def parse(data: bytes, *, subsystem: str | None = None) -> Parsed:
    return build("envelope", Common(members=MEMBERS, subsystem=subsystem)).parse(
        data, stream="s", start=5, create_time=TIME
    )


def one(line: bytes, **more: Any) -> dict[str, Any]:
    parsed = parse(line + b"\n", **more)
    assert len(parsed.bodies) == 1
    envelope: dict[str, Any] = json.loads(parsed.bodies[0])
    return envelope


def test_an_event_that_lacks_nothing_passes_byte_for_byte() -> None:
    parsed = parse(FULL + b"\n\n" + FULL + b"\r\n")
    assert list(parsed.bodies) == [FULL, FULL]
    assert list(parsed.offsets) == [5, 5 + len(FULL) + 2]
    assert list(parsed.log_types) == ["access", "access"]
    assert parsed.errors == 0


def test_members_are_added_only_where_the_event_lacks_them() -> None:
    line = b'{"more": [1.50], "event" : {"hostname" :"own", "event":{}}, "create_time":"x", "unique_id":"a.b-c_1"}'
    assert one(line) == {
        "unique_id": "a.b-c_1",
        "create_time": "x",
        "more": [1.5],
        "event": {"log_type": "logs", "source_id": "g", "hostname": "own", "event": {}},
    }
    assert b'"more":[1.50]' in parse(line + b"\n").bodies[0]


def test_the_subsystem_is_that_of_the_event_and_the_source_only_fills_a_gap() -> None:
    assert parse(FULL + b"\n", subsystem="api").log_types == ["access"]
    bare = b'{"unique_id":"a","create_time":"x","event":{}}\n'
    assert parse(bare, subsystem="api").log_types == ["api"]
    assert json.loads(parse(bare, subsystem="api").bodies[0])["event"]["log_type"] == "api"


@pytest.mark.parametrize("odd", [b"1e999999", b"9" * 5000, b"[[]]", b"null"])
def test_what_stands_in_a_member_does_not_cost_an_event_its_id(odd: bytes) -> None:
    for name in (b"log_type", b"hostname", b"other"):
        line = b'{"unique_id":"own","create_time":"x","event":{"%b":%b}}' % (name, odd)
        parsed = parse(line + b"\n")
        assert parsed.bodies[0].startswith(b'{"unique_id":"own","create_time":"x","event":{')
        assert b'"%b":%b' % (name, odd) in parsed.bodies[0]
        assert list(parsed.log_types) == ["logs"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"message":"bare"}',
        b'{"unique_id":"a b","create_time":"x","event":{}}',
        b'{"unique_id":"a","create_time":"x","event":[]}',
        b'{"unique_id":"a","event":{}}',
    ],
)
def test_an_object_that_is_no_envelope_is_an_event_of_its_own(line: bytes) -> None:
    found = one(line)
    assert found["unique_id"] == "s.5"
    assert found["event"] == {"log_type": "logs", **MEMBERS, **json.loads(line)}


@pytest.mark.parametrize(
    "line", [b"text", b'{"unique_id":"a","create_time":"x","event":{"a":"\xff"}}', b'{"a":', b"[" * 9999]
)
def test_what_is_no_object_keeps_its_text(line: bytes) -> None:
    found = one(line)
    assert found["unique_id"] == "s.5"
    assert found["create_time"] == TIME


def test_a_transaction_names_its_events_as_they_are_called_on_the_wire() -> None:
    bodies = [FULL, b'{"unique_id":"s.7","create_time":"","event":{}}', b"damaged"]
    taken = Transaction(bodies=bodies, slices=[Slice(stream="s", offsets=[5, 7, 9], end=10)])
    assert taken.unique_ids() == ["own-1", "s.7", "s.9"]
