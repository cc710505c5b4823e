"""The bounded queue of a lane."""

from __future__ import annotations

import anyio
import pytest
import trio.testing

from agent.lane.queue import BLOCK_BYTES, Queue
from tests.support.blocks import block

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})


async def _fits(queue: Queue, count: int, *, size: int = 200) -> bool:
    """Tell whether a block of so many events can be put in now."""
    with anyio.move_on_after(1):
        await queue.put(block(0, count, size=size))
        return True
    return False


async def test_a_full_queue_makes_the_reader_wait_until_events_are_settled_not_until_they_are_taken() -> None:
    queue = Queue(2 * (200 + BLOCK_BYTES))
    assert await _fits(queue, 1)
    assert await _fits(queue, 1)
    assert not await _fits(queue, 1)
    queue.take()
    queue.take()
    assert queue.used == 400
    assert not await _fits(queue, 4), "what is in flight counts"
    queue.release(400)
    assert queue.used == 0
    assert await _fits(queue, 1)


async def test_a_block_larger_than_the_bound_is_let_in_when_nothing_else_is_held() -> None:
    queue = Queue(1024)
    assert await _fits(queue, 100)
    assert not await _fits(queue, 1)


async def test_pain_23_blocks_without_events_are_bounded_while_nothing_is_taken() -> None:
    queue = Queue(10 * BLOCK_BYTES)
    with anyio.move_on_after(1):
        for n in range(1000):
            await queue.put(block(n, 0, end=n + 1))
    assert len(queue._blocks) == 10


async def test_only_so_much_is_read_ahead_of_what_was_taken() -> None:
    queue = Queue(100 * (200 + BLOCK_BYTES), ahead_bytes=2 * (200 + BLOCK_BYTES))
    assert [await _fits(queue, 1) for _ in range(3)] == [True, True, False]
    assert not queue.is_full, "taking one is enough, nothing has to be settled"
    queue.take()
    assert [await _fits(queue, 1) for _ in range(2)] == [True, False]
    queue.take()
    queue.take()
    assert queue.used == 3 * 200
    assert await _fits(queue, 1)


async def test_a_put_that_is_cancelled_while_it_waits_has_done_nothing() -> None:
    queue = Queue(1024)
    assert await _fits(queue, 5)
    used = queue.used
    assert not await _fits(queue, 5)
    assert queue.used == used
    assert queue.take() is not None
    assert queue.take() is None


async def test_room_wakes_the_waiting_reader_and_a_block_wakes_the_waiting_batcher() -> None:
    queue = Queue(1024)
    taken = []

    async def batcher() -> None:
        while await queue.wait():
            found = queue.take()
            assert found is not None
            taken.append(found.start)
            await anyio.sleep(1)
            queue.release(found.size)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(batcher)
        for n in range(20):
            await queue.put(block(n, 1, size=900))
        queue.close()
    assert taken == list(range(20))
    assert queue.used == 0


async def test_a_closed_queue_gives_out_what_it_holds_and_then_ends() -> None:
    queue = Queue(4096)
    await queue.put(block(0, 1))
    queue.close()
    assert await queue.wait()
    assert queue.take() is not None
    assert not await queue.wait()
