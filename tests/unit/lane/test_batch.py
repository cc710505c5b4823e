"""Assembling transactions: full ones from a flood, a lone event at once, nothing lost on the way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from agent.lane.acks import Acks
from agent.lane.batch import Batcher, count_types
from agent.lane.queue import BLOCK_BYTES, Queue
from tests.support.blocks import block

if TYPE_CHECKING:
    from agent.events import Block, Transaction

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


def _batcher(queue: Queue, acks: Acks | None = None, **options: Any) -> Batcher:
    settings = {"max_events": None, "max_bytes": 1 << 20, "min_interval_seconds": 0.02} | options
    return Batcher(queue, acks or Acks(), **settings)


@st.composite
def _streams(draw: st.DrawFn) -> list[Block]:
    """Blocks of two streams, each stream without gaps, some without events."""
    at = {"a": 0, "b": 0}
    found = []
    for _ in range(draw(st.integers(1, 12))):
        stream = draw(st.sampled_from(sorted(at)))
        count, tail = draw(st.integers(0, 6)), draw(st.integers(1, 3))
        per_event = draw(st.booleans())
        types = [f"t{n % 2}" for n in range(count)] if per_event else "t0"
        start = at[stream]
        at[stream] = start + count + tail
        found.append(block(start, count, stream=stream, size=draw(st.integers(60, 200)), end=at[stream], types=types))
    return found


def _ids(blocks: list[Block]) -> list[tuple[str, int, bytes, str]]:
    return [
        (b.stream, offset, body, b.log_types if isinstance(b.log_types, str) else b.log_types[i])
        for b in blocks
        for i, (offset, body) in enumerate(zip(b.offsets, b.bodies, strict=True))
    ]


def _rows(transaction: Transaction) -> list[tuple[str, int, bytes, str]]:
    offsets = [(s.stream, offset) for s in transaction.slices for offset in s.offsets]
    types = [transaction.types] * len(transaction) if isinstance(transaction.types, str) else transaction.types
    rows = zip(offsets, transaction.bodies, types, strict=True)
    return [(stream, offset, body, kind) for (stream, offset), body, kind in rows]


@given(_streams(), st.one_of(st.none(), st.integers(1, 7)), st.integers(50, 900))
def test_events_keep_their_order_and_limits_hold_and_every_byte_is_covered(
    blocks: list[Block], max_events: int | None, max_bytes: int
) -> None:
    queue, acks = Queue(1 << 30), Acks()
    batcher = _batcher(queue, acks, max_events=max_events, max_bytes=max_bytes)
    sent: list[Transaction] = []

    async def go() -> None:
        for each in blocks:
            await queue.put(each)
        queue.close()
        while (transaction := await batcher.next()) is not None:
            sent.append(transaction)

    anyio.run(go, backend="trio")
    assert [row for t in sent for row in _rows(t)] == _ids(blocks)
    for t in sent:
        assert t.size == sum(map(len, t.bodies))
        assert len(t) <= (max_events or len(t))
        assert t.size <= max_bytes or len(t) == 1
        assert len(t)
    for t in sent:
        for piece in t.slices:
            acks.settle(piece, None)
    assert acks.take_dirty() == {b.stream: b.end for b in blocks}
    assert queue.used == sum(t.size for t in sent)


async def test_a_lone_event_leaves_at_once_when_the_lane_is_idle() -> None:
    queue = Queue(1 << 20)
    batcher = _batcher(queue, min_interval_seconds=60)
    await queue.put(block(0, 1))
    began = anyio.current_time()
    assert len(await batcher.next() or ()) == 1
    assert anyio.current_time() == began


async def test_a_busy_lane_gathers_until_the_interval_is_over() -> None:
    queue = Queue(1 << 20)
    batcher = _batcher(queue, min_interval_seconds=1)
    await queue.put(block(0, 1))
    await batcher.next()
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:

        async def trickle() -> None:
            for n in range(1, 10):
                await queue.put(block(n, 1))
                await anyio.sleep(0.3)

        tasks.start_soon(trickle)
        second = await batcher.next()
        assert second is not None
        assert len(second) == 4
        assert anyio.current_time() - began == pytest.approx(1)


async def test_a_full_transaction_does_not_wait_for_the_interval() -> None:
    queue = Queue(1 << 20)
    batcher = _batcher(queue, min_interval_seconds=60, max_events=5)
    await queue.put(block(0, 17))
    began = anyio.current_time()
    assert [len(await batcher.next() or ()) for _ in range(3)] == [5, 5, 5]
    assert anyio.current_time() == began


@pytest.mark.parametrize("late", [0, 1])
async def test_nothing_is_waited_for_that_has_no_room_in_the_queue(late: float) -> None:
    queue = Queue(3 * 200 + 2 * BLOCK_BYTES)
    batcher = _batcher(queue, min_interval_seconds=60, max_events=2)
    await queue.put(block(0, 3, size=200))
    assert len(await batcher.next() or ()) == 2
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:

        async def read_on() -> None:
            await anyio.sleep(late)
            await queue.put(block(3, 3, size=200))

        tasks.start_soon(read_on)
        second = await batcher.next()
        assert second is not None
        assert len(second) == 1
        assert anyio.current_time() - began == late
        tasks.cancel_scope.cancel()


async def test_the_end_of_the_queue_flushes_what_was_gathered() -> None:
    queue = Queue(1 << 20)
    batcher = _batcher(queue, min_interval_seconds=60)
    await queue.put(block(0, 1))
    await batcher.next()
    await queue.put(block(1, 2))
    queue.close()
    began = anyio.current_time()
    assert len(await batcher.next() or ()) == 2
    assert await batcher.next() is None
    assert anyio.current_time() == began


async def test_an_event_larger_than_a_transaction_travels_alone() -> None:
    queue = Queue(1 << 20)
    batcher = _batcher(queue, max_bytes=300)
    for n, size in enumerate((100, 1000, 100)):
        await queue.put(block(n, 1, size=size))
    queue.close()
    sizes = []
    while (transaction := await batcher.next()) is not None:
        sizes.append(transaction.size)
    assert sizes == [100, 1000, 100]


@pytest.mark.parametrize(("types", "counted"), [("api", {"api": 3}), (["api", "logs", "api"], {"api": 2, "logs": 1})])
def test_events_are_counted_by_subsystem(types: str | list[str], counted: dict[str, int]) -> None:
    counter: Counter[str] = Counter()
    count_types(types, counter, 3)
    assert counter == counted
