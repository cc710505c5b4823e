"""Requests' events in groups: what waits is committed together, so that one flush of the disk serves many callers."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.collector.store import postgresql, sqlite
from agent.collector.store.incoming import Incoming
from agent.collector.store.key import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collector.store.database import Database
    from agent.collector.store.orgs import Orgs
    from agent.receive.envelope import Row

log = structlog.get_logger(__name__)

GROUP_EVENTS = 20_000
"""At most this many events are committed together, so that no request waits for a giant transaction."""
PROBE_SECONDS = 5.0
"""How often a database that failed is tried again while no event comes: callers may be waiting for it to be well."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One request's events, and what became of them."""

    org_id: str
    rows: Sequence[Row]
    done: anyio.Event = field(default_factory=anyio.Event)
    duplicates: list[str] = field(default_factory=list)
    error: Exception | None = None


class Committer:
    """The one writer of events of this process."""

    def __init__(self, database: Database, orgs: Orgs) -> None:
        """Write to ``database`` once ``run`` runs."""
        self.error: str | None = None
        """Why the newest commit failed, None when it did not."""
        self.using = threading.Lock()
        """Held while it writes, so that the database is not closed under it."""
        self._database = database
        self._orgs = orgs
        self._waiting: list[Job] = []
        self._rung = anyio.Event()

    async def put(self, job: Job) -> None:
        """Return when the job is done."""
        self._waiting.append(job)
        self._rung.set()
        await job.done.wait()

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
        group: list[Job] = []
        events = 0
        while self._waiting and (not group or events + len(self._waiting[0].rows) <= GROUP_EVENTS):
            job = self._waiting.pop(0)
            group.append(job)
            events += len(job.rows)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._commit, group)
        for job in group:
            job.done.set()

    def _commit(self, group: Sequence[Job]) -> None:
        """Store the group's events in one transaction; an empty group finds out whether that would work."""
        with self.using:
            try:
                self._store(group)
            except self._database.errors as error:
                self._failed(error)
                for job in group:
                    job.error = error
                    job.duplicates.clear()
            else:
                self._worked()

    def _store(self, group: Sequence[Job]) -> None:
        numbers = {job.org_id: self._orgs.make(self._database, job.org_id) for job in group}
        with self._database.raw() as connection:
            writer = (postgresql if self._database.is_postgresql else sqlite).Writer(connection)
            try:
                if not group:
                    writer.probe()
                    return
                writer.begin()
                events, owners = _numbered(group, numbers, writer.last_id())
                known = writer.insert(events) if events else ()
                writer.commit()
            except BaseException:
                self._roll_back(writer)
                raise
        for id_ in sorted(known):
            job, row = owners[id_]
            job.duplicates.append(row.unique_id)

    def _roll_back(self, writer: postgresql.Writer | sqlite.Writer) -> None:
        try:
            writer.roll_back()
        except self._database.errors as error:
            log.warning("store_rollback_failed", error=str(error))

    def _worked(self) -> None:
        if self.error is not None:
            log.info("store_recovered", was=self.error)
            self.error = None

    def _failed(self, error: Exception) -> None:
        if self.error is None:
            log.error("store_write_failed", error=str(error))
        self.error = str(error)


def _numbered(
    group: Sequence[Job], numbers: dict[str, int], last: int
) -> tuple[list[Incoming], dict[int, tuple[Job, Row]]]:
    """Return the group's events, each key once, numbered from ``last`` on, and whose they are; note what is twice."""
    now = time.time_ns() // 1000
    events: list[Incoming] = []
    owners: dict[int, tuple[Job, Row]] = {}
    seen: set[tuple[int, bytes, int]] = set()
    for job in group:
        org = numbers[job.org_id]
        for row in job.rows:
            stream, position = key(row.unique_id)
            whole = (org, stream, position)
            if whole in seen:
                job.duplicates.append(row.unique_id)
                continue
            seen.add(whole)
            last += 1
            owners[last] = (job, row)
            events.append(Incoming(last, org, now, stream, position, row.log_type, row.hostname, row.envelope))
    return events, owners
