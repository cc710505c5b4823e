"""A collector as receiver: asked page by page, patiently, and never believed when it does not make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from agent.errors import AgentError
from agent.reconcile.collector import ATTEMPTS, Collector

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = "a" * 32


def asking(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Collector, list[float]]:
    """Return a receiver that is answered by a function, and how long it waited."""
    client = httpx.Client(base_url="http://collector.test", transport=httpx.MockTransport(answer))
    waits: list[float] = []
    return Collector(client, sleep=waits.append), waits


def test_pages_are_put_together_in_order() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.url.params.get("after")))
        after = int(request.url.params.get("after", "-1"))
        offsets = [n for n in range(0, 50, 10) if n > after][:2]
        return httpx.Response(200, json={"offsets": offsets, "more": offsets[-1] < 40, "stream": STREAM})

    collector, _ = asking(answer)
    assert list(collector.offsets(STREAM)) == [0, 10, 20, 30, 40]
    path = f"/v1/streams/{STREAM}/ids"
    assert asked == [(path, None), (path, "10"), (path, "30")]
    assert list(collector.offsets(STREAM)) == [0, 10, 20, 30, 40]
    assert len(asked) == 3  # not asked for twice
    assert (collector.copies(f"{STREAM}.a"), collector.copies(f"{STREAM}.b")) == (1, 0)


def test_a_busy_collector_is_asked_again_after_longer_and_longer_pauses() -> None:
    answers = iter([httpx.Response(429), httpx.Response(503), httpx.Response(200, json={"offsets": [1]})])
    collector, waits = asking(lambda _request: next(answers))
    assert list(collector.offsets(STREAM)) == [1]
    assert waits == sorted(waits)
    assert len(waits) == 2


def test_one_that_stays_down_or_refuses_is_an_error_that_says_so() -> None:
    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    collector, waits = asking(down)
    with pytest.raises(AgentError, match="connection refused"):
        collector.offsets(STREAM)
    assert len(waits) == ATTEMPTS - 1
    collector, waits = asking(lambda _request: httpx.Response(401))
    with pytest.raises(AgentError, match="HTTP 401"):
        collector.offsets(STREAM)
    assert waits == []


@pytest.mark.parametrize("body", [{"offsets": "none"}, [1, 2], {"offsets": [1, 2], "more": True}])
def test_answers_that_make_no_sense_are_refused(body: object) -> None:
    collector, _ = asking(lambda _request: httpx.Response(200, json=body))
    with pytest.raises(AgentError, match=r"collector\.test"):
        collector.offsets(STREAM)


def test_of_an_id_of_no_stream_nothing_is_known() -> None:
    collector, _ = asking(lambda _request: httpx.Response(500))
    assert collector.copies("some-program-1") is None
