"""Events that a destination wants again while it takes the others (WIRE 4.4, rule 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
import structlog

from agent.config.model import Retry
from agent.destinations.base import ACCEPTED, Answer, Failure, Kind, all_pending
from tests.support.lanes import REFUSAL, Bench, events, ids, not_now

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from agent.events import Transaction

pytestmark = pytest.mark.anyio

AGAIN = Failure(kind=Kind.NOT_NOW, reason="wants some again", status=201)


def again(transaction: Transaction, wanted: Collection[str], failure: Failure = AGAIN) -> Answer:
    """Take all of ``transaction`` but the ``wanted``, which are to come again."""
    pending = [i for i, name in enumerate(transaction.unique_ids()) if name in wanted]
    return Answer(pending=pending, failure=failure) if pending else ACCEPTED


async def test_others_go_on_while_some_wait_and_the_cursor_stays_before_the_first_of_them(tmp_path: Path) -> None:
    slow, began = {"s.5", "s.7", "s.70"}, anyio.current_time()
    cursors: list[dict[str, int]] = []

    def script(t: Transaction) -> Answer:
        if anyio.current_time() - began >= 100:
            return ACCEPTED
        cursors.append(dict(bench.cursor))
        return again(t, slow)

    bench = Bench(tmp_path, events(1000), script, max_events=50, retry=Retry(base=10))
    await bench.run()
    times = {name: at - began for at, names in bench.destination.attempts for name in names}
    assert max(at for name, at in times.items() if name not in slow) < 1, "nothing else waited for them"
    assert sorted(bench.destination.accepted) == sorted(ids(1000))
    assert {at["s"] for at in cursors if at} == {5}
    assert bench.cursor == {"s": 1000}
    assert bench.stats.queue_bytes == 0
    assert all(names == sorted(names, key=ids(1000).index) for _at, names in bench.destination.attempts)
    bench.check()


async def test_with_a_hint_everything_waits(tmp_path: Path) -> None:
    hinted, asked = Failure(kind=Kind.NOT_NOW, reason="busy", status=201, retry_after_seconds=50), []

    def script(t: Transaction) -> Answer:
        asked.append(anyio.current_time())
        return again(t, {"s.5"} if len(asked) == 1 else (), hinted)

    bench = Bench(tmp_path, events(1000), script, max_events=50)
    await bench.run()
    assert asked[1] - asked[0] >= 50
    assert bench.destination.attempts[1][1] == ["s.5"]
    bench.check()


async def test_a_destination_that_takes_nothing_of_a_transaction_is_left_alone_as_a_whole(tmp_path: Path) -> None:
    began = anyio.current_time()
    bench = Bench(
        tmp_path,
        events(500),
        lambda t: all_pending(t, AGAIN) if anyio.current_time() - began < 60 else ACCEPTED,
        max_events=50,
        retry=Retry(base=10),
    )
    await bench.run()
    assert bench.destination.accepted == ids(500), "in order: nothing overtook"
    assert len(bench.destination.attempts) < 10 + 30
    bench.check()


async def test_deferred_events_of_which_none_is_taken_do_not_shorten_the_back_off_of_the_destination(
    tmp_path: Path,
) -> None:
    began = anyio.current_time()

    def script(t: Transaction) -> Answer:
        if len(bench.destination.attempts) <= 10:
            return again(t, [n for n in t.unique_ids() if n.endswith("3")])
        return all_pending(t, AGAIN) if anyio.current_time() - began < 3600 else ACCEPTED

    bench = Bench(tmp_path, events(1000), script, max_events=50, retry=Retry(base=1, cap=300))
    await bench.run()
    fresh = [at for at, names in bench.destination.attempts if len(names) == 50 and at - began < 3600]
    assert 10 < len(fresh) < 200, "some 35 with the back-off, some 600 without"
    assert sorted(bench.destination.accepted) == sorted(ids(1000))
    bench.check()


async def test_what_is_deferred_counts_in_the_queue_so_that_it_is_bounded(tmp_path: Path) -> None:
    began = anyio.current_time()

    def script(t: Transaction) -> Answer:
        return again(t, [n for n in t.unique_ids() if n.endswith("0")] if anyio.current_time() - began < 300 else ())

    bench = Bench(tmp_path, events(20_000), script, max_events=16, queue_max_bytes=64 * 1024, retry=Retry(base=60))
    async with anyio.create_task_group() as tasks:

        async def look() -> None:
            await anyio.sleep(100)
            read.append(len(bench.feed.given))
            used.append(bench.stats.queue_bytes)
            deferred.append(bench.stats.deferred)

        read: list[int] = []
        used: list[int] = []
        deferred: list[int] = []
        tasks.start_soon(look)
        await bench.run()
    assert read[0] < 5_000, "the reader waits for room"
    assert 32 * 1024 < used[0] <= 64 * 1024
    assert 0 < deferred[0] <= bench.stats.wanted_again
    assert bench.stats.deferred == 0
    assert sorted(bench.destination.accepted) == sorted(ids(20_000))
    assert bench.cursor == {"s": 20_000}
    bench.check()


async def test_deferred_events_can_be_refused_and_can_meet_an_outage(tmp_path: Path) -> None:
    slow, began, calls = {"s.5", "s.7", "s.70"}, anyio.current_time(), []

    def script(t: Transaction) -> Answer:
        late = anyio.current_time() - began
        if late < 1:
            return again(t, slow)
        calls.append(late)
        if late < 400:
            return not_now(t)
        if "s.7" in t.unique_ids():
            return Answer(rejected={t.unique_ids().index("s.7"): REFUSAL})
        return ACCEPTED

    bench = Bench(tmp_path, events(200), script, max_events=50, retry=Retry(base=10))
    await bench.run()
    assert bench.kept() == ["s.7"]
    assert sorted(bench.destination.accepted) == sorted(set(ids(200)) - {"s.7"})
    assert bench.cursor == {"s": 200}
    assert 2 < len(calls) < 60, "the whole lane backs off"
    bench.check()


async def test_a_stop_leaves_the_deferred_to_the_next_start(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, events(200), lambda t: again(t, {"s.5"}), max_events=50, endless=True, retry=Retry(base=600)
    )
    await bench.run(stop_after=5, grace=100)
    assert bench.seconds < 6, "a stop sits out no wait"
    assert bench.cursor == {"s": 5}
    assert sorted(bench.destination.accepted) == sorted(set(ids(200)) - {"s.5"})


async def test_no_more_requests_run_at_a_time_than_allowed(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    async def script(t: Transaction) -> Answer:
        await anyio.sleep(0.01)
        for name in t.unique_ids():
            seen[name] = seen.get(name, 0) + 1
        return again(t, [n for n in t.unique_ids() if n.endswith("3") and seen[n] < 3])

    bench = Bench(tmp_path, events(3000), script, max_events=50, max_in_flight=2, retry=Retry(base=0.02, cap=0.1))
    await bench.run()
    assert bench.destination.most_running == 2
    assert sorted(bench.destination.accepted) == sorted(ids(3000))
    bench.check()


async def test_that_events_are_wanted_again_is_said_once_a_minute_not_for_every_request(tmp_path: Path) -> None:
    seen: set[str] = set()

    def script(t: Transaction) -> Answer:
        wanted = [n for n in t.unique_ids() if n.endswith("3") and n not in seen]
        seen.update(wanted)
        return again(t, wanted)

    with structlog.testing.capture_logs() as logs:
        bench = Bench(tmp_path, events(3000), script, max_events=50)
        await bench.run()
    assert [line["log_level"] for line in logs if line["event"] == "events_wanted_again"] == ["warning"]
    assert not [line for line in logs if line["event"] in ("destination_pauses", "destination_recovered")]
    assert bench.stats.requests["partial"] >= 50
    assert bench.stats.state == "stopped"
