"""Events → bytes."""

from __future__ import annotations

import json

from agent.encoders import agilicus, jsonl
from tests.support.transactions import transaction


def test_the_agilicus_body_wraps_the_events_and_changes_none() -> None:
    sent = transaction(3)
    assert json.loads(agilicus.encode(sent)) == {"events": [json.loads(b) for b in sent.bodies]}


def test_json_lines_end_with_a_newline_each() -> None:
    assert jsonl.encode([b"{}", b'{"a":1}']) == b'{}\n{"a":1}\n'


def test_no_events_are_no_lines() -> None:
    assert jsonl.encode([]) == b""
