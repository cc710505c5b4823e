"""The same lane on the event loop that the agent runs on, whose cancellation differs: real time, short waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from agent.config.model import Retry
from agent.destinations.base import ACCEPTED, Answer
from tests.support.lanes import REFUSAL, Bench, accept, events, ids, not_now

if TYPE_CHECKING:
    from pathlib import Path

    from agent.events import Transaction

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_everything_is_delivered_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(20_000), accept, max_events=500)
    await bench.run()
    assert bench.destination.accepted == ids(20_000)
    assert bench.cursor == {"s": 20_000}
    bench.check()


async def test_failures_partial_results_and_refusals_end_with_every_event_accounted_for(tmp_path: Path) -> None:
    turns = iter(range(10**6))

    async def script(t: Transaction) -> Answer:
        turn = next(turns)
        await anyio.sleep(0.001)
        if turn % 3 == 1:
            return not_now(t)
        if turn % 3 == 2 and len(t) > 4:
            return Answer(rejected={1: REFUSAL}, pending=range(2, len(t), 3), failure=not_now(t).failure)
        return ACCEPTED

    bench = Bench(tmp_path, events(1000), script, max_events=50, max_in_flight=4, retry=Retry(base=0.001, cap=0.01))
    await bench.run()
    assert {*bench.destination.accepted, *bench.kept()} == set(ids(1000))
    assert bench.cursor == {"s": 1000}
    bench.check()


async def test_pain_25_a_hanging_destination_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    async def hang(_t: Transaction) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError

    bench = Bench(tmp_path, events(100), hang, endless=True, max_in_flight=4, max_events=10)
    with anyio.fail_after(60):
        await bench.run(stop_after=0.1, grace=0.1)
    assert bench.cursor.get("s", 0) == 0
    bench.check(in_flight=100)


async def test_pain_25_a_retry_after_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(100), lambda t: not_now(t, retry_after=240), endless=True)
    with anyio.fail_after(60):
        await bench.run(stop_after=0.1, grace=100)
    assert len(bench.destination.attempts) == 1
    bench.check(in_flight=100)
