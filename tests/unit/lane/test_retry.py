"""When to try again."""

from __future__ import annotations

from collections import Counter
from math import nan

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from agent.config.model import Retry
from agent.destinations.base import Failure, Kind
from agent.lane.retry import Backoff, Gate

pytestmark = pytest.mark.anyio

NOT_NOW = Failure(kind=Kind.NOT_NOW, reason="503")
FORBIDDEN = Failure(kind=Kind.DESTINATION, reason="403")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def _hint(seconds: float, kind: Kind = Kind.NOT_NOW) -> Failure:
    return Failure(kind=kind, reason="429", retry_after_seconds=seconds)


@given(st.integers(1, 2000), st.floats(0.01, 10), st.floats(1, 600))
def test_the_wait_is_between_nothing_and_the_doubled_base_and_never_over_the_cap(
    failures: int, base: float, cap: float
) -> None:
    backoff = Backoff(Retry(base=base, cap=cap))
    for _ in range(failures - 1 if failures < 100 else 99):
        backoff.seconds(NOT_NOW)
    high = min(cap, base * 2 ** (min(failures, 100) - 1))
    assert 0 <= backoff.seconds(NOT_NOW) <= high


def test_the_jitter_is_full_so_waits_fill_the_whole_range() -> None:
    waits = []
    for _ in range(400):
        backoff = Backoff(Retry(base=1, cap=300))
        waits.append([backoff.seconds(NOT_NOW) for _ in range(6)][-1])
    assert min(waits) < 4
    assert max(waits) > 28
    assert 12 < sum(waits) / len(waits) < 20


@given(st.floats(0.001, 1e9), st.sampled_from([Kind.NOT_NOW, Kind.DESTINATION]))
def test_pain_21_a_hint_wins_over_back_off_and_absurd_ones_are_capped(seconds: float, kind: Kind) -> None:
    backoff = Backoff(Retry(max_retry_after=3600))
    wait = backoff.seconds(_hint(seconds, kind))
    assert min(seconds, 3600) <= wait <= 1.1 * min(seconds, 3600) + 1e-6


@pytest.mark.parametrize("useless", [0.0, -5.0, nan])
def test_a_hint_that_names_no_time_leaves_it_to_back_off_so_there_is_no_hot_loop(useless: float) -> None:
    backoff = Backoff(Retry(base=1000, cap=1000))
    assert max(backoff.seconds(_hint(useless)) for _ in range(20)) > 1


def test_a_destination_that_somebody_has_to_mend_is_probed_no_faster_than_configured() -> None:
    backoff = Backoff(Retry(base=1, cap=300, probe=30))
    waits = [backoff.seconds(FORBIDDEN) for _ in range(50)]
    assert all(30 <= wait <= 300 for wait in waits)


def test_the_probe_pause_holds_even_above_the_cap() -> None:
    assert Backoff(Retry(base=1, cap=5, probe=30)).seconds(FORBIDDEN) == 30


def test_success_forgets_past_failures() -> None:
    backoff = Backoff(Retry(base=1, cap=300))
    for _ in range(20):
        backoff.seconds(NOT_NOW)
    backoff.reset()
    assert backoff.seconds(NOT_NOW) <= 1


def test_requests_that_fail_side_by_side_are_one_failure() -> None:
    backoff = Backoff(Retry(base=1, cap=300))
    backoff.seconds(NOT_NOW)
    assert all(backoff.again(NOT_NOW) <= 1 for _ in range(64))
    assert backoff.seconds(NOT_NOW) <= 2


def test_pain_26_agents_that_failed_together_come_back_spread() -> None:
    """A thousand agents lose one destination for 10 minutes; no second after it sees more than a few of them."""
    outage = 600
    returns: Counter[int] = Counter()
    for _ in range(1000):
        backoff, now = Backoff(Retry(base=1, cap=300)), 0.0
        while now < outage:
            now += backoff.seconds(NOT_NOW)
        returns[int(now)] += 1
    assert max(returns.values()) < 40
    assert len(returns) > 100


def test_pain_26_agents_that_were_told_the_same_moment_come_back_spread_after_it_and_none_before() -> None:
    returns = [Backoff(Retry(base=1, cap=300)).seconds(_hint(240)) for _ in range(1000)]
    assert min(returns) >= 240
    assert max(returns) <= 264
    assert max(Counter(map(int, returns)).values()) < 100


def test_what_is_added_to_a_long_hint_is_no_more_than_the_longest_back_off() -> None:
    waits = [Backoff(Retry(cap=5)).seconds(_hint(3600)) for _ in range(200)]
    assert min(waits) >= 3600
    assert 3603 < max(waits) <= 3605


def test_agents_that_were_refused_together_do_not_probe_together() -> None:
    probes: Counter[int] = Counter()
    for _ in range(1000):
        backoff, now = Backoff(Retry()), 0.0
        for _ in range(8):
            now += backoff.seconds(FORBIDDEN)
        probes[int(now)] += 1
    assert max(probes.values()) < 40


async def test_every_sender_waits_at_a_closed_gate() -> None:
    gate, stop, passed = Gate(), anyio.Event(), []
    gate.hold(240)

    async def sender() -> None:
        assert await gate.passed(stop)
        passed.append(anyio.current_time())

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(sender)
    assert passed == [pytest.approx(began + 240)] * 4


async def test_a_later_shorter_hold_does_not_open_the_gate_earlier() -> None:
    gate, began = Gate(), anyio.current_time()
    gate.hold(100)
    gate.hold(1)
    assert await gate.passed(anyio.Event())
    assert anyio.current_time() - began == pytest.approx(100)


async def test_a_hold_while_waiting_extends_the_wait() -> None:
    gate, began = Gate(), anyio.current_time()
    gate.hold(10)
    async with anyio.create_task_group() as tasks:

        async def later() -> None:
            await anyio.sleep(5)
            gate.hold(100)

        tasks.start_soon(later)
        assert await gate.passed(anyio.Event())
    assert anyio.current_time() - began == pytest.approx(105)


async def test_a_stop_wakes_who_waits_at_the_gate_and_lets_nobody_through() -> None:
    gate, stop, began = Gate(), anyio.Event(), anyio.current_time()
    gate.hold(3600)
    async with anyio.create_task_group() as tasks:

        async def later() -> None:
            await anyio.sleep(5)
            stop.set()

        tasks.start_soon(later)
        assert not await gate.passed(stop)
    assert anyio.current_time() - began == pytest.approx(5)
    assert not await gate.passed(stop)


async def test_an_open_gate_lets_through_even_when_stopping_so_that_the_queue_drains() -> None:
    stop = anyio.Event()
    stop.set()
    assert await Gate().passed(stop)
