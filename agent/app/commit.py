"""Cursor commits: what lanes have settled goes to state.db together, a few times a second and at the end."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread
import structlog

from agent.app.ticks import tick

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.sources.feed import Feed
    from agent.state.store import Store
    from agent.stats import AgentStats

log = structlog.get_logger(__name__)

CHECKPOINT_SECONDS = 30.0


class Settled(Protocol):
    """Where a lane says how far its streams are settled."""

    def take_dirty(self) -> Mapping[str, int]:
        """Return stream → settled prefix for what moved since the last call."""
        ...


class Committer:
    """Moves the cursors of all lanes. While state.db cannot be written nothing is forgotten, and readiness says so."""

    def __init__(self, store: Store, stats: AgentStats, *, checkpoint_seconds: float = CHECKPOINT_SECONDS) -> None:
        """Commit to ``store``, and look through it every ``checkpoint_seconds``; troubles are counted in ``stats``."""
        self._store = store
        self._stats = stats
        self._lanes: dict[str, tuple[Feed, Settled]] = {}
        self._pending: dict[str, dict[str, int]] = {}
        self._calm = False
        self._file = _file_id(store.path)
        self._checkpoint_seconds = checkpoint_seconds
        self._checkpoint_at = time.monotonic() + checkpoint_seconds
        self._damage: str | None = None

    def add(self, feed: Feed, settled: Settled) -> None:
        """Commit a lane's cursors from now on."""
        self._lanes[feed.lane] = (feed, settled)

    def remove(self, lane: str) -> None:
        """Commit what a lane has settled a last time, then forget it."""
        self.commit()
        self._lanes.pop(lane, None)
        self._pending.pop(lane, None)

    async def run(self) -> None:
        """Commit every 200 ms until cancelled, and once more then; while nothing is settled, look each second."""
        try:
            while True:
                await tick(calm=self._calm)
                self.commit()
                await self._checkpoint()
        finally:
            self.commit()

    def commit(self) -> bool:
        """Move all cursors to the settled prefixes; tell whether the state is safe on disk."""
        for name, (_feed, settled) in self._lanes.items():
            if moved := settled.take_dirty():
                self._pending.setdefault(name, {}).update(moved)
        self._calm = not self._pending
        if _file_id(self._store.path) != self._file:
            # SQLite writes on into a file without a name; the next start would not find a byte of it.
            self.trouble("removed or replaced while in use; restart the agent")
            return False
        if not self._pending:
            return self._damage is None
        rows = {name: self._lanes[name][0].rows(moved) for name, moved in self._pending.items()}
        streams = {
            stream.id: stream.row()
            for name, moved in self._pending.items()
            for stream in self._lanes[name][0].streams(moved)
        }
        try:
            self._store.commit_cursors(rows, streams.values())
        except sqlite3.Error as error:
            self.trouble(error)
            return False
        for name, moved in self._pending.items():
            self._lanes[name][0].mark_settled(moved)
        self._pending.clear()
        if self._stats.state_error and self._damage is None:
            log.info("state_write_recovered")
            self._stats.state_error = None
        return self._damage is None

    def trouble(self, error: sqlite3.Error | str) -> None:
        """Say, once, that the state cannot be written; the next commit that succeeds takes it back."""
        if not self._stats.state_error:
            log.error("state_write_failed", error=str(error), then="cursors stand still; events may be sent again")
        self._stats.state_errors += 1
        self._stats.state_error = f"state.db: {error}"

    async def _checkpoint(self) -> None:
        if time.monotonic() >= self._checkpoint_at:
            self._checkpoint_at = time.monotonic() + self._checkpoint_seconds
            damage = await anyio.to_thread.run_sync(self._store.checkpoint)
            if damage and self._damage is None:
                self._damage = damage
                self._stats.state_errors += 1
                self._stats.state_error = f"state.db is damaged: {damage}; the next start sets it aside"
                log.error(
                    "state_damaged_in_use",
                    path=str(self._store.path),
                    error=damage,
                    then="delivery goes on; after a restart files are read from their beginning and sent again",
                )


def _file_id(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at ``path`` from any other; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
