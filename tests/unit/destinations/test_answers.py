"""What a 2XX body says of each event: WIRE 4.2 and every rule of 4.4. Pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.destinations.answers import Outcomes, decode, outcomes
from tests.support.receiver import processed
from tests.support.transactions import transaction

SENT = transaction(4)
A, B, C, D = SENT.unique_ids()
FOREIGN = "t.99"


def of(answer: dict[str, Any] | bytes) -> Outcomes:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    found = decode(body)
    return outcomes(found, find=SENT.find, status=201, body=body) if found else Outcomes()


@pytest.mark.parametrize(
    ("answer", "rejected", "pending", "anomalies"),
    [
        pytest.param(processed(), [], [], 0, id="4.2 three empty lists: everything succeeded"),
        pytest.param(processed([A, B]), [], [], 0, id="4.2 success"),
        pytest.param(processed([(A, "duplicate")]), [], [], 0, id="4.2 duplicate"),
        pytest.param(processed(retry=[(A, "invalid")]), [0], [], 0, id="4.2 invalid"),
        pytest.param(processed(retry=[(B, "unprocessed")]), [], [1], 0, id="4.2 unprocessed"),
        pytest.param(processed(retry=[(C, "too_busy")]), [], [2], 0, id="4.2 too_busy"),
        pytest.param(processed(retry=[(A, "confused")]), [0], [], 0, id="4.2 anything else as invalid"),
        pytest.param(processed(retry=[{"unique_id": A}]), [0], [], 0, id="4.2 missing status as invalid"),
        pytest.param(processed(retry=[(A, 7)]), [0], [], 0, id="4.2 non-string status as invalid"),
        pytest.param(processed(retry=[(A, ["too_busy"])]), [0], [], 0, id="4.2 a list as status"),
        pytest.param(processed([FOREIGN], [FOREIGN], [FOREIGN]), [], [], 3, id="4.4.1 unknown ids are ignored"),
        pytest.param({"retry_events": [{"unique_id": A, "status": "too_busy"}]}, [], [0], 0,
                     id="4.4.1 missing lists are empty"),
        pytest.param({**processed(retry=[A]), "success_events": None}, [], [0], 0, id="4.4.1 a null list is empty"),
        pytest.param({**processed(retry=[A]), "success_events": 5}, [], [0], 0, id="4.4.1 a number for a list"),
        pytest.param(processed(retry=[A, 5, None, {}]), [], [0], 3, id="4.4.1 entries that name no event"),
        pytest.param(processed(discard=[(A, "success"), (B, "too_busy"), (C, None)]), [0, 1, 2], [], 0,
                     id="4.4.2 discard_events whatever the status"),
        pytest.param(processed([(A, "invalid"), (B, "too_busy"), (C, 1)]), [], [], 0,
                     id="4.4.2 success_events whatever the status"),
        pytest.param(processed(retry=[(A, "unprocessed"), (B, "success"), (C, "duplicate"), (D, "invalid")]),
                     [3], [0], 0, id="4.4.3 retry_events by status"),
        pytest.param(processed([A], [A], [A]), [], [], 2, id="4.4.4 success before discard before retry"),
        pytest.param(processed([A], [A]), [], [], 1, id="4.4.4 success before discard"),
        pytest.param(processed([A], retry=[A]), [], [], 1, id="4.4.4 success before retry"),
        pytest.param(processed(discard=[A], retry=[A]), [0], [], 1, id="4.4.4 discard before retry"),
        pytest.param(processed(retry=[(A, "too_busy"), (A, "success")]), [], [], 0,
                     id="4.4.4 within retry_events: success before retry"),
        pytest.param(processed(retry=[(A, "too_busy"), (A, "invalid")]), [0], [], 0,
                     id="4.4.4 within retry_events: discard before retry"),
        pytest.param(processed([A], retry=[B]), [], [1], 0, id="4.4.5 in no list: done"),
        pytest.param(processed(retry=[D, B, A]), [], [0, 1, 3], 0, id="4.4.7 pending in original order"),
    ],
)  # fmt: skip
def test_each_rule(answer: dict[str, Any], rejected: list[int], pending: list[int], anomalies: int) -> None:
    found = of(answer)
    assert (sorted(found.rejected), list(found.pending), found.anomalies) == (rejected, pending, anomalies)


@pytest.mark.parametrize(
    "body",
    [b"OK", b"<html></html>", b"[]", b'"x"', b"null", b"42", b"{}", b'{"status":"ok"}', b'{"a":', b"\xff\xfe",
     b"{" * 100_000, b'{"a":' * 100_000, b"[" * 100_000],
)  # fmt: skip
def test_a_body_without_lists_says_nothing_of_single_events(body: bytes) -> None:
    assert decode(body) is None


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_know_does_not_hide_the_retry_list(number: str) -> None:
    entry = f'{{"unique_id":"{A}","status":"too_busy"}}'
    body = f'{{"retry_events":[{entry}],"retry_after_delay_seconds":{number}}}'
    assert list(of(body.encode()).pending) == [0]


def test_a_byte_order_mark_does_not_hide_the_retry_list() -> None:
    assert list(of(b"\xef\xbb\xbf" + json.dumps(processed(retry=[A])).encode()).pending) == [0]


def test_a_refusal_says_why_on_one_line() -> None:
    refusal = of(processed(discard=[(A, "invalid", "no such\nfield\x1b[31m")])).rejected[0]
    assert refusal.counter == "drop_rejected"
    assert refusal.reason == "discard_events invalid: no such field [31m"
    assert refusal.status == 201
    assert A in refusal.excerpt


def test_a_long_message_is_cut() -> None:
    refusal = of(processed(discard=[(A, "invalid", "x" * 100_000)])).rejected[0]
    assert len(refusal.reason) <= 200
    assert len(refusal.excerpt) <= 512


ENTRIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "unique_id": st.sampled_from([A, B, C, D, FOREIGN, 7, None]),
            "status": st.sampled_from(["success", "duplicate", "invalid", "unprocessed", "too_busy", "?", 1, None]),
        },
    ),
    max_size=6,
)


@given(
    st.fixed_dictionaries({}, optional={"success_events": ENTRIES, "discard_events": ENTRIES, "retry_events": ENTRIES})
)
def test_whatever_is_answered_the_outcomes_partition_the_transaction(answer: dict[str, Any]) -> None:
    found = of(answer)
    pending = list(found.pending)
    assert pending == sorted(set(pending))
    assert not set(pending) & found.rejected.keys()
    assert set(pending) | found.rejected.keys() <= set(range(len(SENT)))
    succeeded = {e.get("unique_id") for e in answer.get("success_events", []) if isinstance(e.get("unique_id"), str)}
    ids = SENT.unique_ids()
    assert not {ids[i] for i in (*pending, *found.rejected)} & succeeded
