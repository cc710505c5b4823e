"""The SQLite file behind the state: opened, written in transactions, put on disk, read through."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from agent.errors import StateError
from agent.state.schema import TABLES, VERSION
from agent.state.sound import check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger(__name__)

BUSY_SECONDS = 10.0
_LOG_BYTES = 4 << 20
"""What the write-ahead log keeps of the disk once it was moved into the database."""


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open or create the database at ``path``, and tell whether it is a new one.

    Raises ``StateError`` when a newer version wrote it, ``sqlite3.DatabaseError`` or ``UnicodeDecodeError`` when it is
    damaged or out of reach.
    """
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        db.execute("PRAGMA wal_autocheckpoint=0")  # a commit must not wait for the disk: see checkpoint()
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        elif found > VERSION:
            said = f"written by a newer version (schema {found}, this is {VERSION})"
            raise StateError(f"{path}: {said}; upgrade the agent")
        check(db)
        db.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version={VERSION}; ROLLBACK;")  # fails where none can write
        with suppress(sqlite3.OperationalError):  # a full disk: later then
            # An agent that is killed again and again before its first checkpoint must not fill the disk.
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except BaseException:
        db.close()
        raise
    return db, found == 0


@contextmanager
def transaction(db: sqlite3.Connection, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
    """Write all of it or nothing; ``durable``: it is on disk when this returns."""
    if durable:
        db.execute("PRAGMA synchronous=FULL")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        if durable:
            db.execute("PRAGMA synchronous=NORMAL")


def make_durable(path: Path) -> None:
    """Put everything committed so far on disk. Raises ``OSError``."""
    # What is not in the write-ahead log any more was fsynced when it was moved out of it.
    try:
        descriptor = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checkpoint(path: Path) -> str | None:
    """Move the write-ahead log into the database and read that through; return what is damaged, None: nothing."""
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            # Nobody else would notice: the connection in use has its pages in memory.
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
            return None if found == "ok" else found
    except sqlite3.OperationalError as error:
        log.warning("state_checkpoint_failed", error=str(error))
    except sqlite3.DatabaseError as error:
        return str(error)
    return None
