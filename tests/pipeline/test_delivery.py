"""What becomes of events when destinations misbehave: the real lane between ends in memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest

from agent.config.model import Filter, Retry
from agent.destinations.base import ACCEPTED, Answer, Failure, Kind
from agent.lane.rejects import Rejects
from tests.support.blocks import block
from tests.support.lanes import REFUSAL, Bench, accept, events, forbidden, ids, not_now, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agent.destinations.base import Refusal
    from agent.events import Block, Transaction

pytestmark = pytest.mark.anyio

HOUR = 3600.0


async def test_everything_read_is_delivered_once_in_order_and_the_cursor_reaches_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(5000), accept, max_events=500)
    await bench.run()
    assert bench.destination.accepted == ids(5000)
    assert bench.cursor == {"s": 5000}
    assert bench.stats.state == "stopped"
    assert bench.stats.accepted_bytes == 5000 * 200
    assert bench.stats.accepted_by_type == {"logs": 5000}
    assert bench.stats.queue_bytes == 0
    bench.check()


async def test_pain_18_a_day_of_outage_drops_nothing(tmp_path: Path) -> None:
    began = anyio.current_time()
    bench = Bench(
        tmp_path,
        events(2000),
        lambda t: not_now(t) if anyio.current_time() - began < 24 * HOUR else ACCEPTED,
        max_events=100,
    )
    await bench.run()
    assert bench.destination.accepted == ids(2000)
    assert 24 * HOUR <= bench.seconds <= 24 * HOUR + 360
    # Back-off of at most 300 s, on average half of it: neither silence nor hammering.
    assert 24 * 12 <= len(bench.destination.attempts) <= 24 * 60
    bench.check()


async def test_pain_19_half_an_hour_of_403_then_repaired_loses_nothing(tmp_path: Path) -> None:
    began = anyio.current_time()
    bench = Bench(
        tmp_path, events(2000), lambda t: forbidden(t) if anyio.current_time() - began < HOUR / 2 else ACCEPTED
    )

    async def look_at_state() -> None:
        await anyio.sleep(HOUR / 4)
        states.append((bench.stats.state, bench.stats.last_error))

    states: list[tuple[str, str | None]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_at_state)
        await bench.run()
    assert states == [("degraded", "403 Forbidden")]
    assert bench.destination.accepted == ids(2000)
    times = [at for at, _ids in bench.destination.attempts]
    outage = [b - a for a, b in pairwise(times) if b - began < HOUR / 2]
    assert min(outage) >= 30, "probed faster than configured"
    bench.check()


async def test_pain_20_a_poison_event_is_isolated_and_the_others_flow(tmp_path: Path) -> None:
    poison = ["s.11", "s.7f", "s.80"]
    bench = Bench(
        tmp_path,
        events(500),
        lambda t: refused(t, Kind.POISON) if set(poison) & set(t.unique_ids()) else ACCEPTED,
        max_events=200,
    )
    await bench.run()
    assert bench.kept() == poison
    assert bench.destination.accepted == [each for each in ids(500) if each not in poison]
    assert bench.cursor == {"s": 500}
    assert bench.stats.last_error is None, "bisecting pauses nothing"
    bench.check()


async def test_pain_20_poison_everywhere_ends_with_everything_in_rejects(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(70), lambda t: refused(t, Kind.POISON), max_events=33)
    await bench.run()
    assert bench.kept() == ids(70)
    assert bench.cursor == {"s": 70}
    bench.check()


async def test_a_transaction_too_large_is_halved_until_it_fits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(256), lambda t: refused(t, Kind.TOO_LARGE) if t.size > 2000 else ACCEPTED)
    await bench.run()
    assert bench.destination.accepted == ids(256)
    assert bench.kept() == []
    bench.check()


async def test_a_single_event_too_large_is_rejected_and_the_others_flow(tmp_path: Path) -> None:
    blocks = [block(0, 10, size=200), block(10, 1, size=9000), block(11, 10, size=200)]
    bench = Bench(tmp_path, blocks, lambda t: refused(t, Kind.TOO_LARGE) if t.size > 5000 else ACCEPTED)
    await bench.run()
    assert bench.kept() == ["s.a"]
    assert next(iter(bench.rejects)).status == 413
    assert bench.destination.accepted == [each for each in ids(21) if each != "s.a"]
    bench.check()


async def test_a_lone_poisoned_rest_is_not_followed_by_an_empty_attempt(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        if len(t) == 1:
            return refused(t, Kind.POISON)
        return Answer(pending=[0], failure=Failure(kind=Kind.POISON, reason="bad"))

    bench = Bench(tmp_path, events(10), script)
    await bench.run()
    assert bench.kept() == ["s.0"]
    bench.check()


async def test_pain_22_partial_results_are_sent_again_in_order_without_what_is_done(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        if len(bench.destination.attempts) > 1:
            return ACCEPTED
        failure = Failure(kind=Kind.NOT_NOW, reason="unprocessed", status=200)
        return Answer(rejected={4: REFUSAL}, pending=[1, 2, 7], failure=failure)

    bench = Bench(tmp_path, events(10), script)
    await bench.run()
    assert [sent for _at, sent in bench.destination.attempts] == [ids(10), ["s.1", "s.2", "s.7"]]
    assert bench.kept() == ["s.4"]
    assert bench.stats.requests == {"partial": 1, "accepted": 1}
    assert bench.cursor == {"s": 10}
    bench.check()


async def test_the_cursor_stays_before_the_first_event_that_is_not_done(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        pending = [i for i, each in enumerate(t.unique_ids()) if each == "s.3"]
        failure = Failure(kind=Kind.NOT_NOW, reason="unprocessed") if pending else None
        return Answer(pending=pending, failure=failure)

    bench = Bench(tmp_path, events(10), script)
    await bench.run(stop_after=100)
    assert bench.cursor == {"s": 3}
    bench.check(in_flight=1)


async def test_a_destination_that_takes_a_little_at_a_time_is_not_backed_off_ever_longer(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        pending = range(1, len(t))
        return Answer(pending=pending, failure=Failure(kind=Kind.NOT_NOW, reason="too_busy") if pending else None)

    bench = Bench(tmp_path, events(100), script)
    await bench.run()
    assert bench.seconds <= 100
    bench.check()


async def test_an_answer_that_leaves_events_pending_without_a_reason_loses_none(tmp_path: Path) -> None:
    answers = [Answer(pending=[3])]
    bench = Bench(tmp_path, events(10), lambda t: answers.pop() if answers else ACCEPTED)
    await bench.run()
    assert sorted(bench.destination.accepted) == sorted(ids(10))
    assert bench.cursor == {"s": 10}
    bench.check()


async def test_a_destination_that_raises_costs_neither_the_lane_nor_an_event(tmp_path: Path) -> None:
    def script(t: Transaction) -> Answer:
        if len(bench.destination.attempts) < 5:
            raise ZeroDivisionError
        return ACCEPTED

    bench = Bench(tmp_path, events(10), script)
    await bench.run()
    assert bench.destination.accepted == ids(10)
    assert bench.stats.requests["raised"] == 4
    bench.check()


async def test_pain_21_retry_after_holds_all_senders_until_it_is_over(tmp_path: Path) -> None:
    async def script(t: Transaction) -> Answer:
        await anyio.sleep(0.5)
        if "s.5" in t.unique_ids() and not told:
            told.append(anyio.current_time())
            return not_now(t, retry_after=240)
        return ACCEPTED

    told: list[float] = []
    bench = Bench(tmp_path, events(400), script, max_events=10, max_in_flight=4)
    await bench.run()
    assert not [at for at, _ids in bench.destination.attempts if told[0] < at < told[0] + 240]
    back = min(at for at, _ids in bench.destination.attempts if at >= told[0] + 240)
    assert back <= told[0] + 264
    assert sorted(bench.destination.accepted) == sorted(ids(400))
    bench.check()


async def test_pain_21_an_absurd_retry_after_is_capped(tmp_path: Path) -> None:
    answers = [10.0**9]
    bench = Bench(tmp_path, events(10), lambda t: not_now(t, retry_after=answers.pop()) if answers else ACCEPTED)
    await bench.run()
    assert 3600 <= bench.seconds <= 3600 + 300
    bench.check()


async def test_pain_26_no_agent_comes_back_before_its_retry_after_and_all_of_them_spread(tmp_path: Path) -> None:
    began = anyio.current_time()
    benches = [
        Bench(tmp_path, events(1), lambda t: not_now(t, retry_after=100) if anyio.current_time() == began else ACCEPTED)
        for _ in range(40)
    ]
    async with anyio.create_task_group() as tasks:
        for bench in benches:
            tasks.start_soon(bench.run)
    returns = sorted(bench.destination.attempts[-1][0] - began for bench in benches)
    assert returns[0] >= 100
    assert returns[-1] <= 110
    assert len({round(at, 3) for at in returns}) > 30


async def test_sixty_four_requests_that_fail_together_do_not_drive_the_back_off_to_its_cap(tmp_path: Path) -> None:
    async def script(t: Transaction) -> Answer:
        await anyio.sleep(1)
        return not_now(t) if len(bench.destination.attempts) <= 64 else ACCEPTED

    bench = Bench(tmp_path, events(64, per_block=1), script, max_events=1, max_in_flight=64, min_interval=0)
    await bench.run()
    assert bench.destination.most_running == 64
    assert bench.seconds <= 4
    bench.check()


async def test_several_senders_finish_in_any_order_and_the_settled_prefix_stays_right(tmp_path: Path) -> None:
    order = iter([7, 1, 5, 2, 9, 3, 8, 4] * 100)
    failures = iter([True, False, False, True, False] * 100)

    async def script(t: Transaction) -> Answer:
        seconds, fails = next(order), next(failures)
        await anyio.sleep(seconds)
        return not_now(t) if fails else ACCEPTED

    streams = [b for pair in zip(events(600), events(600, stream="t"), strict=True) for b in pair]
    bench = Bench(tmp_path, streams, script, max_events=70, max_in_flight=4)
    sent: dict[str, set[int]] = {"s": set(), "t": set()}

    async def watch() -> None:
        while True:
            bench.look()
            for each in bench.destination.accepted:
                stream, offset = each.split(".")
                sent[stream].add(int(offset, 16))
            for stream, position in bench.cursor.items():
                assert set(range(position)) <= sent[stream], "the cursor passed an unsettled event"
            await anyio.sleep(0.5)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await bench.run()
        tasks.cancel_scope.cancel()
    assert bench.destination.most_running == 4
    assert bench.cursor == {"s": 600, "t": 600}
    bench.check()


async def test_pain_23_a_dead_destination_bounds_what_is_read(tmp_path: Path) -> None:
    def endless() -> Iterator[Block]:
        start = 0
        while True:
            yield block(start, 100, size=1000)
            start += 100

    bench = Bench(tmp_path, endless(), not_now, queue_max_bytes=1 << 20)
    await bench.run(stop_after=HOUR, grace=5)
    assert bench.stats.read <= 1100
    assert bench.cursor.get("s", 0) == 0
    bench.check(in_flight=bench.stats.read)


async def test_pain_23_filtered_blocks_behind_a_pending_event_are_bounded_too(tmp_path: Path) -> None:
    def endless() -> Iterator[Block]:
        yield block(0, 1, types="api")
        for start in range(1, 10_000):
            yield block(start, 1, types="logs")

    bench = Bench(
        tmp_path,
        endless(),
        not_now,
        endless=True,
        queue_max_bytes=1 << 16,
        filters=[Filter(filter_type="subsystem", value="api")],
    )
    await bench.run(stop_after=HOUR, grace=5)
    assert bench.stats.read < 200
    assert bench.cursor.get("s", 0) == 0
    bench.check(in_flight=1)


async def test_pain_16_when_everything_is_filtered_the_cursor_moves_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(1000), accept, filters=[Filter(filter_type="subsystem", value="api")])
    await bench.run()
    assert bench.destination.attempts == []
    assert bench.cursor == {"s": 1000}
    assert bench.stats.filtered == 1000
    bench.check()


async def test_some_events_filtered_in_every_block_leave_no_gap(tmp_path: Path) -> None:
    types = ["api", "logs", "logs", "api", "logs"]
    blocks = [block(n * 5, 5, types=types if n % 3 else "logs") for n in range(50)]
    bench = Bench(tmp_path, blocks, accept, filters=[Filter(filter_type="subsystem", value="api")], max_events=3)
    await bench.run()
    wanted = [f"s.{n * 5 + i:x}" for n in range(50) if n % 3 for i in (0, 3)]
    assert bench.destination.accepted == wanted
    assert bench.cursor == {"s": 250}
    assert bench.stats.accepted_by_type == {"api": len(wanted)}
    bench.check()


async def test_a_lone_event_leaves_at_once_and_a_flood_fills_transactions(tmp_path: Path) -> None:
    began = anyio.current_time()
    lone = Bench(tmp_path, events(3, per_block=1), accept, endless=True, pause_seconds=100)
    await lone.run(stop_after=350)
    assert [at - began for at, _ids in lone.destination.attempts] == [pytest.approx(n) for n in (100, 200, 300)]

    async def slow(_t: Transaction) -> Answer:
        await anyio.sleep(0.01)
        return ACCEPTED

    flood = Bench(tmp_path, events(10_000, per_block=7), slow, max_events=500)
    await flood.run()
    sizes = [len(sent) for _at, sent in flood.destination.attempts]
    assert sizes.count(500) >= 19
    flood.check()


class _FullDisk(Rejects):
    """Rejects on a disk that has room only from a moment on."""

    def __init__(self, state_dir: Path, room_at: float) -> None:
        super().__init__(state_dir, "d")
        self._room_at = room_at

    async def put(self, transaction: Transaction, refused: Mapping[int, Refusal]) -> None:
        if anyio.current_time() < self._room_at:
            raise OSError(28, "No space left on device")
        await super().put(transaction, refused)


async def test_pain_15_rejects_that_cannot_be_written_settle_nothing_and_recover(tmp_path: Path) -> None:
    began = anyio.current_time()
    bench = Bench(
        tmp_path,
        events(10),
        lambda t: Answer(rejected={0: REFUSAL, 5: REFUSAL}) if len(t) == 10 else ACCEPTED,
        rejects=_FullDisk(tmp_path, began + HOUR),
        retry=Retry(cap=60),
    )
    seen: list[tuple[dict[str, int], str, int]] = []

    async def look_at_half_time() -> None:
        await anyio.sleep(HOUR / 2)
        seen.append((dict(bench.cursor), bench.stats.rejects_error or "", bench.stats.in_flight))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_at_half_time)
        await bench.run()
    ((cursor, error, in_flight),) = seen
    assert cursor.get("s", 0) == 0
    assert "No space left" in error
    assert in_flight == 10
    assert len(bench.destination.attempts) == 1, "what was answered is not asked again"
    assert bench.kept() == ["s.0", "s.5"]
    assert bench.stats.rejects_error is None
    assert bench.cursor == {"s": 10}
    bench.check()


async def test_a_destination_in_trouble_is_shown_so_while_it_is_probed_until_something_gets_through(
    tmp_path: Path,
) -> None:
    shown: list[tuple[str, float | None]] = []

    def script(t: Transaction) -> Answer:
        shown.append((bench.stats.state, bench.stats.retry_at))
        return forbidden(t) if len(shown) < 3 else ACCEPTED

    bench = Bench(tmp_path, events(100), script, max_events=50)
    await bench.run()
    assert shown == [("sending", None), ("degraded", None), ("degraded", None), ("sending", None)]
    bench.check()


async def test_success_of_a_request_sent_side_by_side_does_not_end_a_retry_after(tmp_path: Path) -> None:
    async def script(t: Transaction) -> Answer:
        if "s.0" in t.unique_ids():
            await anyio.sleep(1)
            return not_now(t, retry_after=239) if len(bench.destination.attempts) < 3 else ACCEPTED
        await anyio.sleep(5)
        return ACCEPTED

    bench = Bench(tmp_path, events(20), script, max_events=10, max_in_flight=2, min_interval=0)
    shown = []

    async def look() -> None:
        await anyio.sleep(100)
        shown.append((bench.stats.state, bench.stats.retry_at is not None, bench.stats.accepted))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        await bench.run()
    assert shown == [("backing_off", True, 10)]
    assert 1 + 239 + 1 <= bench.seconds + 1e-6 <= 1 + 239 * 1.1 + 1
    bench.check()


async def test_a_block_and_an_event_larger_than_the_queue_still_travel(tmp_path: Path) -> None:
    bench = Bench(tmp_path, events(50, per_block=10, size=3000), accept, queue_max_bytes=1024, max_bytes=1024)
    await bench.run()
    assert bench.destination.accepted == ids(50)
    assert {len(sent) for _at, sent in bench.destination.attempts} == {1}
    bench.check()
