"""An event as a line: any event gives one, and a search finds what it names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collector.pages.asked import asked
from agent.collector.pages.detail import MOST_SHOWN, depth, members, pretty
from agent.collector.pages.lines import has_text, has_user, line
from agent.collector.store.search import Hit

_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    ["method", "path", "result", "event_name", "action", "message", "response_code", "sub", "time"]
)


def envelope(event: Any) -> bytes:
    return json.dumps({"unique_id": "x", "create_time": "2026-05-04T12:00:00Z", "event": event}).encode()


def shown(**event: Any) -> Any:
    return line(Hit(number=1, received_at=0, envelope=envelope(event)))


@given(st.dictionaries(_NAMES, _JSON))
def test_any_event_gives_a_line_a_text_and_members(event: dict[str, Any]) -> None:
    found = shown(**event)
    assert found.unique_id == "x"
    assert len(found.what) <= 240
    data = envelope(event)
    assert json.loads(pretty(data)[0]) == json.loads(data)
    assert len(members(data)) == len(event)


@pytest.mark.parametrize(
    ("event", "what", "good"),
    [
        ({"method": "GET", "authority": "h", "path": "/x", "response_code": 403}, "GET h/x 403", False),
        ({"event_name": "Token", "result": "Success", "source_ip": "192.0.2.1"}, "Token Success from 192.0.2.1", True),
        ({"action": "UPDATE", "target_resource_name": "soc"}, "UPDATE soc", None),
        ({"allowed": False, "message": "denied"}, "denied", False),
        ({"colour": "red", "hostname": "h"}, "colour=red", None),
    ],
)
def test_what_a_line_says(event: dict[str, Any], what: str, good: bool | None) -> None:
    assert (shown(**event).what, shown(**event).good) == (what, good)


def test_a_user_is_found_by_any_member_that_names_one_and_text_in_any_case() -> None:
    assert has_user("ANA")(envelope({"user_email": "ana@example.org"}))
    assert not has_user("ana")(envelope({"message": "ana"}))
    assert has_text("QUARTAL")(envelope({"path": "/quartal"}))
    for way in (json.dumps({"m": "Größe"}), json.dumps({"m": "Größe"}, ensure_ascii=False)):
        assert has_text("größe")(way.encode())


def test_deep_and_long_events_are_not_indented_but_shown_in_part() -> None:
    deep = b'{"event":{"x":' + b"[" * 500 + b"]" * 500 + b"}}"
    assert depth(deep) == 502
    assert depth(b'{"a":"[[[\\"[["}') == 1
    assert pretty(deep) == (deep.decode(), True)
    long = envelope({"m": "x" * (2 * MOST_SHOWN)})
    text, whole = pretty(long)
    assert (len(text), whole) == (MOST_SHOWN, False)


def test_a_search_is_the_same_after_a_turn_through_its_address() -> None:
    from urllib.parse import parse_qsl

    given_ = {"q": "a&b", "type": "access", "host": "h", "user": "u", "range": "24h", "since": "2026-05-04T12:00"}
    found = asked(given_)
    assert asked(dict(parse_qsl(found.address()))) == found
    assert found.wanted(0.0).since == 1_777_896_000_000_000


def test_a_time_that_is_none_is_said_and_left_out() -> None:
    found = asked({"since": "yesterday-ish", "range": "1y"})
    assert (found.since, found.range) == ("", "")
    assert "yesterday-ish" in found.problem
