"""Events in SQLite, each once, durable before they are acknowledged. One writer thread commits requests in groups."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.receive.envelope import Row

log = structlog.get_logger(__name__)

VERSION = 1
GROUP_EVENTS = 20_000
"""At most this many events are committed together, so that no request waits for a giant transaction."""
PROBE_SECONDS = 5.0
"""How often a database that failed is tried again while no event comes: callers may be waiting for it to be well."""
_PROBE = ("DROP TABLE IF EXISTS probe", "CREATE TABLE probe AS SELECT zeroblob(65536) AS room", "DROP TABLE probe")

_TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    unique_id TEXT NOT NULL UNIQUE,
    create_time TEXT NOT NULL,
    log_type TEXT NOT NULL,
    received_at REAL NOT NULL,
    envelope BLOB NOT NULL
);
PRAGMA user_version={VERSION};
COMMIT;
"""
_INSERT = "INSERT OR IGNORE INTO events (unique_id, create_time, log_type, received_at, envelope) VALUES (?,?,?,?,?)"


class StoreError(Exception):
    """Nothing of a request was stored now; it may be tried again."""


@dataclass(slots=True)
class _Job:
    rows: Sequence[Row]
    done: anyio.Event = field(default_factory=anyio.Event)
    duplicates: list[str] = field(default_factory=list)
    error: Exception | None = None


class Store:
    """The events that were ever accepted."""

    def __init__(self, database: str) -> None:
        """Open or create ``database``, a path or ``:memory:``. Raises ``AgentError``."""
        self.error: str | None = None
        """Why the newest commit failed, None when it did not."""
        self._waiting: list[_Job] = []
        self._rung = anyio.Event()
        self._lock = threading.Lock()
        try:
            if database != ":memory:":
                Path(database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(database, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA cache_size=-65536")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found > VERSION:
                raise AgentError(f"{database}: written by a newer version (schema {found}, this is {VERSION})")
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise AgentError(f"{database}: cannot be used as the collector's database: {error}") from error

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    async def put(self, rows: Sequence[Row]) -> list[str]:
        """Store ``rows``; return the ids that were there already, once for each repetition.

        They are on disk when this returns. Raises ``StoreError``; then none of them is stored.
        """
        if not rows:
            return []
        job = _Job(rows=rows)
        self._waiting.append(job)
        self._rung.set()
        await job.done.wait()
        if job.error is not None:
            raise StoreError(str(job.error)) from job.error
        return job.duplicates

    async def run(self) -> None:
        """Commit what waits, in groups, until cancelled; then what waits still, a last time."""
        try:
            while True:
                if not self._waiting:
                    self._rung = anyio.Event()
                    with anyio.move_on_after(math.inf if self.error is None else PROBE_SECONDS):
                        await self._rung.wait()
                await self._commit_group()
        finally:
            with anyio.CancelScope(shield=True):
                while self._waiting:
                    await self._commit_group()

    async def _commit_group(self) -> None:
        group: list[_Job] = []
        events = 0
        while self._waiting and (not group or events + len(self._waiting[0].rows) <= GROUP_EVENTS):
            job = self._waiting.pop(0)
            group.append(job)
            events += len(job.rows)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._commit if group else self._probe, group)
        for job in group:
            job.done.set()

    def _commit(self, group: Sequence[_Job]) -> None:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                last = self._db.execute("SELECT max(id) FROM events").fetchone()[0] or 0
                for job in group:
                    last = self._insert(job, last)
                self._db.execute("COMMIT")
            except (sqlite3.Error, ValueError, OverflowError) as error:
                self._roll_back()
                self._failed(error)
                for job in group:
                    job.error = error
                    job.duplicates.clear()
            else:
                self._worked()

    def _probe(self, _group: Sequence[_Job]) -> None:
        with self._lock:
            try:
                for statement in _PROBE:
                    self._db.execute(statement)
            except sqlite3.Error as error:
                self._failed(error)
            else:
                self._worked()

    def _insert(self, job: _Job, last: int) -> int:
        """Insert one request's events; note which ids were there before. Returns the newest row id."""
        now = time.time()
        values = [(r.unique_id, r.create_time.isoformat(), r.log_type, now, r.envelope) for r in job.rows]
        inserted = self._db.executemany(_INSERT, values).rowcount
        if inserted < len(values):
            seen: set[str] = set()
            for row in job.rows:
                if row.unique_id in seen or self._existed(row.unique_id, last):
                    job.duplicates.append(row.unique_id)
                seen.add(row.unique_id)
        return last + inserted

    def _existed(self, unique_id: str, last: int) -> bool:
        query = "SELECT 1 FROM events WHERE unique_id = ? AND id <= ?"
        return self._db.execute(query, (unique_id, last)).fetchone() is not None

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.warning("store_rollback_failed", error=str(error))

    def _worked(self) -> None:
        if self.error is not None:
            log.info("store_recovered", was=self.error)
            self.error = None

    def _failed(self, error: Exception) -> None:
        if self.error is None:
            log.error("store_write_failed", error=str(error), then="answering 503 until it works again")
        self.error = str(error)

    # Looking at what is there

    def count(self) -> int:
        """Return how many events are stored."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM events").fetchone()[0])

    def newest(self, number: int) -> list[bytes]:
        """Return the envelopes of the newest events, newest first."""
        with self._lock:
            rows = self._db.execute("SELECT envelope FROM events ORDER BY id DESC LIMIT ?", (number,)).fetchall()
        return [bytes(row[0]) for row in rows]

    def ids(self) -> list[str]:
        """Return every id, in the order of arrival."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT unique_id FROM events ORDER BY id")]
