"""Requests' events in groups: what waits is committed together, so that one flush of the disk serves many callers."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

from agent.collector.store import postgresql, sqlite
from agent.collector.store.batch import Job, numbered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collector.store.database import Database
    from agent.collector.store.orgs import Orgs

log = structlog.get_logger(__name__)

GROUP_EVENTS = 20_000
"""At most this many events are committed together, so that no request waits for a giant transaction."""
PROBE_SECONDS = 5.0
"""How often a database that failed is tried again while no event comes: callers may be waiting for it to be well."""


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
                batch = numbered(group, numbers, writer.last_id())
                # Nothing of it was ever here, nearly always; only otherwise it is worth looking what is twice in it.
                if not writer.insert_new(batch.events):
                    batch = batch.without_repetitions()
                    for id_ in sorted(writer.insert(batch.events)):
                        batch.note(id_)
                writer.commit()
            except BaseException:
                self._roll_back(writer)
                raise

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
