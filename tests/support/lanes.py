"""A real lane between a feed and a destination in memory, for tests on virtual time."""

from __future__ import annotations

import inspect
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio

from agent.config.model import Delivery, DestinationConfig, Filter, Retry
from agent.destinations.base import ACCEPTED, Answer, Failure, Kind, Refusal, all_pending
from agent.events import unique_id
from agent.filters import AgentIdentity, EventFilter
from agent.lane.lane import Lane
from agent.lane.rejects import Rejects
from agent.stats import LaneStats
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from agent.events import Block, Transaction

    Script = Callable[[Transaction], Answer | Awaitable[Answer]]

REFUSAL = Refusal(counter="drop_rejected", reason="refused", status=400)


class MemoryFeed:
    """Blocks from a list, each when it is asked for; ``endless`` feeds wait for more when the list is at its end."""

    def __init__(self, blocks: Iterable[Block], *, endless: bool = False, pause_seconds: float = 0) -> None:
        self._blocks = iter(blocks)
        self._endless = endless
        self._pause = pause_seconds
        self.given: list[tuple[str, int]] = []
        """Stream and offset of every event handed out."""

    async def next(self) -> Block | None:
        await (anyio.sleep(self._pause) if self._pause else anyio.lowlevel.checkpoint())
        found = next(self._blocks, None)
        if found is None and self._endless:
            await anyio.sleep_forever()
        if found is not None:
            self.given += [(found.stream, offset) for offset in found.offsets]
        return found


class ScriptedDestination:
    """Answers as ``script`` says, and remembers what was attempted when and what it has accepted."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.attempts: list[tuple[float, list[str]]] = []
        self.accepted: list[str] = []
        self.running = 0
        self.most_running = 0

    async def attempt(self, transaction: Transaction) -> Answer:
        ids = transaction.unique_ids()
        self.attempts.append((anyio.current_time(), ids))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            found = self._script(transaction)
            answer: Answer = await found if inspect.isawaitable(found) else found
        finally:
            self.running -= 1
        left = set(answer.rejected) | set(answer.pending)
        self.accepted += [each for i, each in enumerate(ids) if i not in left]
        return answer

    async def aclose(self) -> None:
        pass


class Bench:
    """One lane with everything around it."""

    def __init__(
        self,
        state_dir: Path,
        blocks: Iterable[Block],
        script: Script,
        *,
        endless: bool = False,
        pause_seconds: float = 0,
        filters: Iterable[Filter] = (),
        max_events: int | None = None,
        rejects: Any = None,
        retry: Retry | None = None,
        **delivery: Any,
    ) -> None:
        self.feed = MemoryFeed(blocks, endless=endless, pause_seconds=pause_seconds)
        self.destination = ScriptedDestination(script)
        self.stats = LaneStats(destination="d")
        self.rejects = rejects or Rejects(state_dir, "d")
        self.stop = anyio.Event()
        self.cursor: dict[str, int] = {}
        self.seconds = 0.0
        config = DestinationConfig(
            name="d",
            destination_type="webhook",
            location="https://example.net/",
            filters=list(filters),
            max_events_per_transaction=max_events,
            delivery=Delivery(retry=retry or Retry(), **delivery),
        )
        self.lane = Lane(
            config,
            destination=self.destination,
            event_filter=EventFilter(config, AgentIdentity(id="a", type="agent_connector", hostname="h")),
            feed=self.feed,
            rejects=self.rejects,
            stats=self.stats,
        )

    async def run(self, *, stop_after: float | None = None, grace: float = 10) -> None:
        """Run the lane until its feed ends or it is stopped, looking at the cursor all along."""
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            if stop_after is not None:
                tasks.start_soon(self._stop_after, stop_after)
            await self.lane.run(self.stop, grace_seconds=lambda: grace)
            tasks.cancel_scope.cancel()
        self.seconds = anyio.current_time() - began
        self.look()

    async def _stop_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.stop.set()

    async def _look(self) -> None:
        pause = 0.2
        while True:
            self.look()
            await anyio.sleep(pause)
            pause = min(pause * 1.1, 60)  # rarely on a long day, or virtual time would take real time

    def look(self) -> None:
        """Take over the cursors; they never move backwards."""
        for stream, position in self.lane.acks.take_dirty().items():
            assert position >= self.cursor.get(stream, 0)
            self.cursor[stream] = position

    def kept(self) -> list[str]:
        """Return the ids of the events in rejects."""
        return [bytes(each.event).split(b'"')[3].decode() for each in self.rejects]

    def check(self, *, in_flight: int = 0) -> None:
        """Hold the counters to what really happened: read = accepted + filtered + rejected + in flight."""
        stats = self.stats
        assert stats.accepted == len(self.destination.accepted)
        assert stats.rejected.total() == len(self.kept())
        assert stats.in_flight == in_flight
        assert stats.read == stats.accepted + stats.filtered + stats.rejected.total() + in_flight
        assert stats.read <= len(self.feed.given)
        assert all(sent for _at, sent in self.destination.attempts), "an attempt without events"
        done = Counter([*self.destination.accepted, *self.kept()])
        assert not done or max(done.values()) == 1, "an event was settled twice"
        assert sum(done.values()) == stats.accepted + stats.rejected.total()
        passed = [unique_id(s, offset) for s, offset in self.feed.given if offset < self.cursor.get(s, 0)]
        assert len([each for each in passed if each not in done]) <= stats.filtered, "the cursor passed an event"


def events(count: int, *, per_block: int = 100, size: int = 200, stream: str = "s") -> list[Block]:
    """Return blocks of ``count`` events in all, without gaps."""
    return [
        block(start, min(per_block, count - start), stream=stream, size=size) for start in range(0, count, per_block)
    ]


def ids(count: int, *, stream: str = "s") -> list[str]:
    """Return the ids of the first ``count`` events."""
    return [f"{stream}.{offset:x}" for offset in range(count)]


def accept(_transaction: Transaction) -> Answer:
    """Accept everything."""
    return ACCEPTED


def not_now(transaction: Transaction, *, retry_after: float | None = None) -> Answer:
    """Answer 503 or 429."""
    failure = Failure(kind=Kind.NOT_NOW, reason="503 Service Unavailable", status=503, retry_after_seconds=retry_after)
    return all_pending(transaction, failure)


def forbidden(transaction: Transaction) -> Answer:
    """Answer 403."""
    return all_pending(transaction, Failure(kind=Kind.DESTINATION, reason="403 Forbidden", status=403))


def refused(transaction: Transaction, kind: Kind) -> Answer:
    """Refuse the whole transaction, as too large or as poisoned."""
    return all_pending(transaction, Failure(kind=kind, reason=f"{kind}", status=413 if kind == "too_large" else 400))
