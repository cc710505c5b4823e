"""What an answer means, where the words matter."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx

from agent.destinations.exchange import Reply
from agent.destinations.verdict import judge
from tests.support.transactions import transaction


def test_an_answer_without_end_has_the_same_reason_each_time_so_that_it_is_logged_once() -> None:
    reasons = set()
    for length in (8_391_608, 8_392_898):
        reply = Reply(status=200, headers=httpx.Headers(), body=b"x" * length, complete=False)
        answer = judge(transaction(2), reply, origin="http://h", now=datetime.now(UTC), cap=1.0)
        assert answer.failure is not None
        assert list(answer.pending) == [0, 1]
        reasons.add(answer.failure.reason)
    assert len(reasons) == 1
