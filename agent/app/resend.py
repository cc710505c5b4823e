"""One destination's rejects through its lane again, as its configuration describes it, filters left out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from agent.destinations import build
from agent.events import Block, own_id, unique_id
from agent.filters import AgentIdentity, EventFilter
from agent.lane.lane import Lane
from agent.lane.rejects import record, tally
from agent.lane.rejects.reader import read_files
from agent.lane.rejects.rewrite import rewrite
from agent.stats import LaneStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from agent.config.model import DestinationConfig
    from agent.destinations.base import Answer, Destination, Refusal
    from agent.events import Transaction
    from agent.lane.rejects.reader import Key

FLUSH_SECONDS = 2.0


class Resend:
    """One destination's rejects on their way again. Until ``run`` has taken one out, it stays on disk as it was."""

    def __init__(self, config: DestinationConfig, wanted: Iterable[Key], *, stop: anyio.Event) -> None:
        """Build the destination; no I/O. Raises ``ValueError`` when it cannot be built.

        Once ``stop`` is set, what is unsettled stays in rejects.
        """
        self.stats = LaneStats(destination=config.name)
        self.accepted = 0
        self.refused = 0
        self._tallied = (0, 0)
        self._stop = anyio.Event()
        self._interrupted = stop
        self._wanted = set(wanted)
        self.folder = next(iter(self._wanted)).path.parent
        """Where the rejects are."""
        self._config = msgspec.structs.replace(config, filters=[], event_level_filter=None)
        self._destination: Destination = build(config)
        self._keys: dict[str, list[Key]] = {}
        self._changes: dict[Key, bytes | None] = {}
        self._blocks = self._read()

    async def run(self, *, patience_seconds: float) -> None:
        """Send until everything is answered, nothing was settled for ``patience_seconds``, or a stop is wanted.

        Accepted rejects are out of the files then, refused ones are there once, with the newest reason. Raises
        ``OSError`` when the files cannot be written: they are as they were before.
        """
        lane = Lane(
            self._config,
            destination=self,
            event_filter=EventFilter(self._config, AgentIdentity(id="", type="", hostname="")),
            feed=self,
            rejects=self,
            stats=self.stats,
        )
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._flush_often)
                group.start_soon(self._give_up, patience_seconds)
                group.start_soon(self._stop_when_interrupted)
                await lane.run(self._stop, grace_seconds=lambda: 0.0)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._destination.aclose()
                await self._flush()

    # What the lane reads from, sends to, and keeps refusals in

    async def next(self) -> Block | None:
        """Return the next event to send, as a block of its own; None at the end."""
        await anyio.lowlevel.checkpoint()
        return next(self._blocks, None)

    async def attempt(self, transaction: Transaction) -> Answer:
        """Send once, and note what was accepted."""
        answer = await self._destination.attempt(transaction)
        left = answer.rejected.keys() | set(answer.pending)
        for index, name in enumerate(transaction.unique_ids()):
            if index not in left:
                self.accepted += self._settle(name, None)
        return answer

    async def aclose(self) -> None:
        """Nothing: ``run`` closes the destination."""

    async def put(self, transaction: Transaction, refused: Mapping[int, Refusal]) -> None:
        """Note the newest reason of each event that was refused again; the old one is on disk until then."""
        now, names = record.timestamp(), transaction.unique_ids()
        for index, refusal in refused.items():
            line = record.encode(transaction.bodies[index], refusal, destination=self._config.name, time=now)
            self.refused += self._settle(names[index], line)

    # Settled rejects, to the files

    def _settle(self, name: str, line: bytes | None) -> int:
        """Note what becomes of an event's lines: none stays, or one with the new reason."""
        first, *others = self._keys.pop(name)
        self._changes[first] = line
        # The same event refused twice, as around a crash, is one event.
        self._changes.update(dict.fromkeys(others))
        return 1 + len(others)

    async def _flush(self) -> None:
        if self._changes:
            changes, self._changes = self._changes, {}
            accepted, refused = self.accepted, self.refused
            await anyio.to_thread.run_sync(rewrite, changes)
            await anyio.to_thread.run_sync(self._tally, accepted, refused)

    def _tally(self, accepted: int, refused: int) -> None:
        before, self._tallied = self._tallied, (accepted, refused)
        tally.add(self.folder.parent, self._config.name, accepted=accepted - before[0], refused=refused - before[1])

    async def _flush_often(self) -> None:
        # Not at every answer: each rewrites a file. What is lost to a kill in between is sent again, under its id.
        while True:
            await anyio.sleep(FLUSH_SECONDS)
            with anyio.CancelScope(shield=True):
                await self._flush()

    async def _stop_when_interrupted(self) -> None:
        await self._interrupted.wait()
        self._stop.set()

    async def _give_up(self, patience_seconds: float) -> None:
        since, seen = time.monotonic(), -1
        while True:
            await anyio.sleep(0.2)
            settled = self.stats.accepted + self.stats.rejected.total()
            if settled != seen or self.stats.state not in ("backing_off", "degraded"):
                since, seen = time.monotonic(), settled
            elif time.monotonic() - since > patience_seconds:
                self._stop.set()
                return

    def _read(self) -> Iterator[Block]:
        """Yield each wanted event once; all its lines are known before it goes."""
        files = {key.path for key in self._wanted}
        for key, event in self._events(files):
            self._keys.setdefault(_name(key, event), []).append(key)
        given = set()
        for key, event in self._events(files):
            if (name := _name(key, event)) not in given:
                given.add(name)
                yield Block(
                    stream=key.digest.hex(),
                    source="rejects",
                    start=0,
                    end=1,
                    offsets=[0],
                    bodies=[event],
                    log_types="logs",
                    size=len(event),
                )

    def _events(self, files: Iterable[Path]) -> Iterator[tuple[Key, bytes]]:
        for found in read_files(files):
            if found.reject and found.key in self._wanted:
                yield found.key, bytes(found.reject.event)


def _name(key: Key, event: bytes) -> str:
    """Return what ``Transaction.unique_ids`` calls the event, also when its envelope has no id."""
    return own_id(event, unique_id(key.digest.hex(), 0))
