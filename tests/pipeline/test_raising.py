"""A destination that raises, a mistake of ours: one event must not block a lane, nor a lane empty into rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from agent.config.model import Retry
from agent.destinations.base import ACCEPTED, Answer
from tests.support.lanes import Bench, events, ids

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from agent.events import Transaction
    from tests.support.lanes import Script

pytestmark = pytest.mark.anyio

HOUR = 3600.0


class BadEventError(Exception):
    """Whatever nobody has thought of."""


def raising_at(bad: Container[str]) -> Script:
    def script(t: Transaction) -> Answer:
        if any(each in bad for each in t.unique_ids()):
            raise BadEventError("with a secret of the event in its text")
        return ACCEPTED

    return script


@pytest.mark.parametrize("bad", [["s.11"], ["s.0"], ["s.31"], ["s.11", "s.12", "s.3f"], ids(20)], ids=len)
async def test_pain_20_events_at_which_delivery_raises_go_to_rejects_and_the_others_flow(
    bad: list[str], tmp_path: Path
) -> None:
    bench = Bench(tmp_path, events(100), raising_at(bad), max_events=50)
    await bench.run()
    assert sorted(bench.kept()) == sorted(bad)
    assert sorted(bench.destination.accepted) == sorted(set(ids(100)) - set(bad))
    assert {(each.counter, each.reason) for each in bench.rejects} == {
        ("drop_invalid_format", "cannot_be_encoded: BadEventError")
    }
    assert bench.cursor == {"s": 100}
    assert bench.stats.last_error is None, "bisecting pauses nothing"
    assert bench.stats.requests["raised"] > 0
    bench.check()


async def test_a_destination_that_raises_at_every_event_pauses_and_nothing_is_rejected(tmp_path: Path) -> None:
    began = anyio.current_time()

    def script(t: Transaction) -> Answer:
        if anyio.current_time() - began < HOUR:
            raise BadEventError
        return ACCEPTED

    bench = Bench(tmp_path, events(300), script, max_events=100)
    shown = []

    async def look() -> None:
        await anyio.sleep(HOUR / 2)
        shown.append((bench.stats.state, bench.stats.last_error, dict(bench.cursor), len(bench.kept())))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        await bench.run()
    assert shown == [("degraded", "internal error: BadEventError", {}, 0)]
    assert bench.kept() == []
    assert sorted(bench.destination.accepted) == sorted(ids(300))
    rounds = {round(at) for at, _ids in bench.destination.attempts if at - began < HOUR}
    assert len(rounds) <= HOUR / 30 + 1, "probed faster than configured"
    bench.check()


async def test_a_destination_that_begins_to_raise_in_the_middle_rejects_nothing(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        if len(bench.destination.accepted) >= 100 and anyio.current_time() - began < HOUR:
            raise BadEventError
        return ACCEPTED

    began = anyio.current_time()
    bench = Bench(tmp_path, events(300), script, max_events=50)
    await bench.run()
    assert bench.kept() == []
    assert sorted(bench.destination.accepted) == sorted(ids(300))
    bench.check()


async def test_a_destination_that_begins_to_raise_while_one_event_is_looked_for_costs_a_few_at_most(
    tmp_path: Path,
) -> None:
    def script(t: Transaction) -> Answer:
        if "s.0" in t.unique_ids() or len(bench.destination.accepted) >= 30:
            raise BadEventError
        return ACCEPTED

    bench = Bench(tmp_path, events(200), script, max_events=100)
    await bench.run(stop_after=24 * HOUR)
    assert len(bench.kept()) <= 11
    assert len(bench.destination.accepted) == 49
    assert bench.stats.state == "stopped"
    bench.check(in_flight=bench.stats.read - 49 - len(bench.kept()))


async def test_an_event_of_a_quiet_log_at_which_delivery_raises_is_given_up_after_some_probes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(3, per_block=1), raising_at(["s.1"]), pause_seconds=1000, max_events=1)
    await bench.run()
    assert bench.kept() == ["s.1"]
    assert bench.destination.accepted == ["s.0", "s.2"]
    tried = [at for at, sent in bench.destination.attempts if sent == ["s.1"]]
    assert tried[-1] - tried[0] >= 3 * 30
    bench.check()


async def test_a_quiet_log_whose_destination_raises_for_ever_loses_one_event_to_rejects_and_then_waits(
    tmp_path: Path,
) -> None:
    def script(_t: Transaction) -> Answer:
        raise BadEventError

    bench = Bench(tmp_path, events(50, per_block=1), script, max_events=1, retry=Retry(cap=30))
    await bench.run(stop_after=24 * HOUR)
    assert bench.kept() == ["s.0"]
    assert bench.cursor == {"s": 1}
    bench.check(in_flight=bench.stats.read - 1)


async def test_an_error_that_passes_rejects_nothing(tmp_path: Path) -> None:
    met: set[str] = set()

    def script(t: Transaction) -> Answer:
        first = t.unique_ids()[0]
        if len(t) > 1 or first not in met:
            met.add(first)
            raise BadEventError
        return ACCEPTED

    bench = Bench(tmp_path, events(5), script)
    await bench.run()
    assert bench.kept() == []
    assert sorted(bench.destination.accepted) == sorted(ids(5))
    bench.check()
