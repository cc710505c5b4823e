"""Stopping a lane in the middle of everything: within the grace, nothing sent too early, nothing lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest

from agent.destinations.base import ACCEPTED, Answer, Kind
from agent.lane.rejects import Rejects
from tests.support.lanes import REFUSAL, Bench, accept, events, forbidden, ids, not_now, refused

if TYPE_CHECKING:
    from pathlib import Path

    from agent.events import Transaction

pytestmark = pytest.mark.anyio


async def test_what_was_read_is_sent_before_the_lane_ends(tmp_path: Path) -> None:
    async def slow(_t: Transaction) -> Answer:
        await anyio.sleep(1)
        return ACCEPTED

    bench = Bench(tmp_path, events(1000), slow, endless=True, max_events=200)
    await bench.run(stop_after=0.5, grace=10)
    assert bench.destination.accepted == ids(1000)
    assert bench.cursor == {"s": 1000}
    assert bench.seconds <= 10.5
    bench.check()


async def test_an_idle_lane_stops_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [], accept, endless=True)
    await bench.run(stop_after=5)
    assert bench.seconds == pytest.approx(5)
    assert bench.stats.state == "stopped"


async def test_pain_25_a_stop_during_retry_after_makes_no_early_attempt_and_waits_for_nothing(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, events(1000), lambda t: not_now(t, retry_after=240), endless=True, max_events=10, max_in_flight=4
    )
    await bench.run(stop_after=100, grace=10)
    assert {at for at, _ids in bench.destination.attempts} == {bench.destination.attempts[0][0]}
    assert bench.seconds == pytest.approx(100)
    assert bench.cursor.get("s", 0) == 0
    bench.check(in_flight=1000)


async def test_pain_25_a_destination_that_hangs_is_given_up_when_the_grace_is_over(tmp_path: Path) -> None:
    async def hang(t: Transaction) -> Answer:
        if "s.0" in t.unique_ids():
            return ACCEPTED
        await anyio.sleep_forever()
        raise AssertionError

    bench = Bench(tmp_path, events(100), hang, endless=True, max_events=10, max_in_flight=3)
    await bench.run(stop_after=60, grace=7)
    assert bench.seconds == pytest.approx(67)
    assert bench.stats.state == "stopped"
    assert bench.cursor == {"s": 10}
    bench.check(in_flight=90)


@pytest.mark.parametrize("script", [not_now, forbidden])
async def test_pain_25_a_stop_while_the_destination_fails_ends_at_once(tmp_path: Path, script: object) -> None:
    bench = Bench(tmp_path, events(1000), script, endless=True, max_events=10)
    await bench.run(stop_after=1000, grace=10)
    assert bench.seconds <= 1010
    bench.check(in_flight=1000)


async def test_a_grace_of_nothing_ends_the_lane_at_once(tmp_path: Path) -> None:
    async def slow(_t: Transaction) -> Answer:
        await anyio.sleep(1)
        return ACCEPTED

    bench = Bench(tmp_path, events(1000), slow, endless=True, max_events=10)
    await bench.run(stop_after=2.5, grace=0)
    assert bench.seconds == pytest.approx(2.5)
    assert bench.cursor == {"s": 20}
    bench.check(in_flight=980)


async def test_a_stop_before_the_first_block_sends_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(100), accept, endless=True)
    bench.stop.set()
    await bench.run()
    assert bench.feed.given == []
    assert bench.destination.attempts == []
    assert bench.seconds == 0
    bench.check()


async def test_a_full_queue_at_stop_neither_counts_nor_keeps_the_block_that_did_not_fit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(1000), not_now, endless=True, queue_max_bytes=64 << 10)
    await bench.run(stop_after=50)
    assert bench.stats.read < len(bench.feed.given)
    bench.check(in_flight=bench.stats.read)


@pytest.mark.parametrize("stop_after", [0, 0.3, 1, 1.1, 2.7, 5, 9.9, 20, 63])
@pytest.mark.parametrize("senders", [1, 4])
async def test_pain_28_wherever_a_stop_hits_the_counters_add_up_and_the_next_start_finds_the_rest(
    tmp_path: Path, stop_after: float, senders: int
) -> None:
    """Partial results, poison, refusals and failures, stopped somewhere; a second lane goes on from the cursor."""

    async def script(t: Transaction) -> Answer:
        turn = next(turns)
        await anyio.sleep(0.1 + turn % 5 / 3)
        if turn % 7 == 3:
            return not_now(t)
        if poison & set(t.unique_ids()):
            return refused(t, Kind.POISON)
        if turn % 5 == 2 and len(t) > 4:
            partly = not_now(t).failure
            return Answer(rejected={1: REFUSAL}, pending=range(2, len(t), 3), failure=partly)
        return ACCEPTED

    poison = {"s.32", "s.12c"}
    turns = iter(range(10**6))
    first = Bench(tmp_path / "1", events(1000), script, endless=True, max_events=50, max_in_flight=senders)
    await first.run(stop_after=stop_after, grace=2)
    first.check(in_flight=first.stats.read - first.stats.accepted - first.stats.rejected.total())
    cursor = first.cursor.get("s", 0)
    rest = [b.keep([i for i, o in enumerate(b.offsets) if o >= cursor]) for b in events(1000) if b.end > cursor]
    second = Bench(tmp_path / "2", rest, script, max_events=50, max_in_flight=senders)
    await second.run()
    second.check()
    found = {*first.destination.accepted, *first.kept(), *second.destination.accepted, *second.kept()}
    assert found == set(ids(1000))
    assert second.cursor.get("s", cursor) == 1000


class _SlowDisk(Rejects):
    """Rejects on a disk that takes its time, while the clock of the lane runs on."""

    def _append(self, data: bytes) -> None:
        time.sleep(0.05)
        super()._append(data)


async def test_a_grace_that_ends_while_rejects_are_written_neither_tears_nor_miscounts_them(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        events(100),
        lambda t: Answer(rejected=dict.fromkeys(range(len(t)), REFUSAL)),
        endless=True,
        max_events=10,
        rejects=_SlowDisk(tmp_path, "d"),
    )
    await bench.run(stop_after=0.01, grace=0.01)
    assert bench.kept() == ids(100)[: len(bench.kept())]
    bench.check(in_flight=bench.stats.read - len(bench.kept()))
    assert bench.cursor.get("s", 0) == len(bench.kept())
