"""One database behind one interface: SQLite by default, PostgreSQL for more than one collector process."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

MEMORY = ":memory:"
BUSY_SECONDS = 10
READ_SECONDS = 30.0
_STEPS = 100_000
"""Of SQLite's machine between two looks at the clock."""
# Larger pages and a longer journal: a page that many commits change is written to its place once, not after each.
_PRAGMAS = (
    *("page_size=8192", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=8000", "cache_size=-65536"),
    "mmap_size=268435456",
)
# A commit that the server would only promise to keep is none.
_DURABLE = "SET synchronous_commit = on"


class Database:
    """Connections to the database ``url``: a path, ``:memory:``, ``sqlite:///…`` or ``postgresql+psycopg://…``."""

    def __init__(self, url: str, *, read_seconds: float = READ_SECONDS) -> None:
        """Prepare; nothing is opened yet. Raises ``AgentError`` for an address that is none."""
        self._read_seconds = read_seconds
        self.url = _parsed(url)
        self.name = self.url.render_as_string(hide_password=True) if "://" in url else url
        """What it is called in messages: without its password."""
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        memory = not self.is_postgresql and self.url.database in (None, "", MEMORY)
        # A database in memory is one connection, and one at a time may use it.
        self._alone: AbstractContextManager[object] = threading.RLock() if memory else nullcontext()
        self.engine = self._engine(memory=memory)
        self.errors: tuple[type[Exception], ...] = (
            sa.exc.SQLAlchemyError,
            *_driver_errors(is_postgresql=self.is_postgresql),
            OSError,
        )
        """What storing may raise, whichever way it is done."""
        self.failures: tuple[type[Exception], ...] = (
            *(sa.exc.DBAPIError, sa.exc.TimeoutError),
            *_driver_errors(is_postgresql=self.is_postgresql),
        )
        """What tells that the database cannot be used, rather than that a question was wrong."""

    def _engine(self, *, memory: bool) -> sa.Engine:
        if self.is_postgresql:
            engine = sa.create_engine(self.url, pool_size=8, max_overflow=8, pool_pre_ping=True)
            sa.event.listen(engine, "connect", _prepare_postgresql)
            return engine
        options: dict[str, Any] = {"poolclass": sa.pool.StaticPool} if memory else {}
        arguments = {"check_same_thread": False, "timeout": BUSY_SECONDS}
        engine = sa.create_engine(self.url, connect_args=arguments, **options)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def prepare_place(self) -> None:
        """Make the folder of an SQLite file."""
        path = self.url.database
        if not self.is_postgresql and path not in (None, "", MEMORY):
            Path(str(path)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection whose reads see one state; what it writes is undone.

        A statement that takes longer than ``read_seconds`` is ended: what only somebody waits for who has gone away
        long ago must not keep the others waiting.
        """
        with self._alone, self.engine.connect() as connection:
            if self.is_postgresql:
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(self._read_seconds * 1000)}")
                yield connection
                return
            driver: Any = connection.connection.driver_connection
            end = time.monotonic() + self._read_seconds
            driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            try:
                yield connection
            finally:
                driver.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction, committed at the end of the block."""
        with self._alone, self.engine.connect() as connection:
            if self.is_postgresql:
                with connection.begin():
                    yield connection
            else:
                # A transaction that begins by reading may not become a writing one when another has written since.
                connection.execution_options(begin_immediate=True)
                with connection.begin():
                    yield connection

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """Yield the driver's own connection, in no transaction."""
        with self._alone:
            connection = self.engine.raw_connection()
            try:
                yield connection.driver_connection
            finally:
                connection.close()

    def close(self) -> None:
        """Close every connection."""
        with self._alone:
            self.engine.dispose()


def _driver_errors(*, is_postgresql: bool) -> tuple[type[Exception], ...]:
    if not is_postgresql:
        return (sqlite3.Error,)
    import psycopg

    return (psycopg.Error,)


def _parsed(url: str) -> sa.URL:
    if "://" not in url:
        return sa.URL.create("sqlite", database=url)
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except sa.exc.ArgumentError as error:
        raise AgentError(f"database {url.partition('://')[0]}://…: {error}") from error
    if backend == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise AgentError(
            f"database: found {parsed.drivername}://…; allowed: a path, :memory:, sqlite:///PATH,"
            " postgresql+psycopg://USER@HOST/NAME"
        )
    return parsed


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 # the driver's
    connection.isolation_level = None  # transactions are begun by us, around changes of the schema, too
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("begin_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _prepare_postgresql(connection: Any, _record: object) -> None:  # noqa: ANN401 # the driver's
    before = connection.autocommit
    connection.autocommit = True
    connection.execute(_DURABLE)
    connection.autocommit = before
