"""The store as the rest of the collector uses it: what goes in, waits for the disk; what comes out, for a thread."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import sqlalchemy as sa
import structlog

from agent.collector.store import events, partitions
from agent.collector.store.batch import Job
from agent.collector.store.commit import Committer
from agent.collector.store.database import Database
from agent.collector.store.errors import BusyError, StoreError
from agent.collector.store.orgs import Orgs
from agent.collector.store.retention import Keep, maintain
from agent.collector.store.schema import migrate
from agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from agent.receive.envelope import Row

    T = TypeVar("T")

log = structlog.get_logger(__name__)

DEFAULT_ORG = "default"
READERS = 4
"""So many queries run at a time; the others wait their turn."""
MAINTAIN_SECONDS = 60.0
"""How often what is too old or too much is looked for, and partitions are made ahead."""
WAITING = 64
"""So many may wait."""


class Store:
    """The events that were ever accepted, and what is configured here."""

    def __init__(self, database: str, *, keep: Keep | None = None) -> None:
        """Open or create ``database`` (see ``Database``) with this version's schema. Raises ``AgentError``."""
        self._keep = keep or Keep()
        self.database = Database(database)
        self.orgs = Orgs()
        self._committer = Committer(self.database, self.orgs)
        self._maintainers = anyio.CapacityLimiter(1)
        self._asked = 0
        self._readers = anyio.CapacityLimiter(READERS)
        try:
            self.database.prepare_place()
            migrate(self.database)
            if self.database.is_postgresql:
                with self.database.writing() as connection:
                    partitions.make_ahead(connection, datetime.now(UTC))
        except AgentError as error:
            raise AgentError(f"{self.database.name}: {error}") from error
        except self.database.errors as error:
            reason = getattr(error, "orig", None) or error
            raise AgentError(f"{self.database.name}: cannot be used as the collector's database: {reason}") from error

    @property
    def error(self) -> str | None:
        """Why the newest commit failed, None when it did not."""
        return self._committer.error

    def close(self) -> None:
        """Close the database."""
        with self._committer.using:
            self.database.close()

    async def run(self) -> None:
        """Store what ``put`` is given and keep within bounds, until cancelled; then store what waits still."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._maintain)
            await self._committer.run()

    async def _maintain(self) -> None:
        while True:
            try:
                # Not left before it is done: it holds a lock, and the database is closed after that.
                await anyio.to_thread.run_sync(maintain, self.database, self._keep, limiter=self._maintainers)
            except self.database.errors as error:
                log.error("retention_failed", error=str(getattr(error, "orig", None) or error).splitlines()[0])
            await anyio.sleep(MAINTAIN_SECONDS)

    async def put(self, rows: Sequence[Row], *, org_id: str = DEFAULT_ORG) -> list[str]:
        """Store ``rows`` for an organisation; return the ids that were there already, once for each repetition.

        They are on disk when this returns. Raises ``StoreError``; then none of them is stored.
        """
        if not rows:
            return []
        job = Job(org_id=org_id, rows=rows)
        await self._committer.put(job)
        if job.error is not None:
            raise StoreError(str(job.error)) from job.error
        return job.duplicates

    async def org(self, org_id: str) -> int:
        """Return the number of an organisation, and give it one when it has none. Raises ``StoreError``."""
        known = self.orgs.known(org_id)
        return known if known is not None else await self._run(lambda: self.orgs.make(self.database, org_id))

    async def read(self, query: Callable[[sa.Connection], T]) -> T:
        """Run ``query`` on a connection in a thread, beside the writer; what it raises comes out here.

        Raises ``BusyError`` when too many wait already, ``StoreError`` when the database cannot be used.
        """

        def run() -> T:
            with self.database.reading() as connection:
                return query(connection)

        return await self._run(run)

    async def write(self, change: Callable[[sa.Connection], T]) -> T:
        """Run ``change`` in a transaction of its own, in a thread; durable when this returns. Raises as ``read``."""

        def run() -> T:
            try:
                return self._change(change)
            except sa.exc.IntegrityError:
                # Another process has stored the same in the meantime; now the change sees it.
                return self._change(change)

        return await self._run(run)

    def _change(self, change: Callable[[sa.Connection], T]) -> T:
        with self.database.writing() as connection:
            return change(connection)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._asked >= READERS + WAITING:
            raise BusyError(f"{WAITING} queries wait already")
        self._asked += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._readers)
        except self.database.failures as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            log.error("store_query_failed", error=reason)
            raise StoreError(reason) from error
        finally:
            self._asked -= 1

    def count(self) -> int:
        """Return how many events there are, of all organisations."""
        with self.database.reading() as connection:
            return events.count(connection)

    def newest(self, number: int) -> list[bytes]:
        """Return the envelopes of the newest events, newest first, of all organisations."""
        with self.database.reading() as connection:
            return events.newest(connection, number)

    def ids(self) -> list[str]:
        """Return every id, in the order of arrival, of all organisations."""
        with self.database.reading() as connection:
            return events.ids(connection)
