"""state.db: one SQLite file in WAL mode, one agent at a time.

Cursor commits are not fsynced: an older cursor only means that events are sent again. A stream's row is, because an
id must never change its meaning once it was sent.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog

from agent.errors import StateError
from agent.state import identity
from agent.state.identity import Identity
from agent.state.marks import Marks
from agent.state.records import CopyRow, CursorRow, StreamRow
from agent.state.schema import TABLES, VERSION
from agent.state.settled import Settled
from agent.state.sound import check, is_damage, set_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

log = structlog.get_logger(__name__)

_LOG_BYTES = 4 << 20
"""What the write-ahead log keeps of the disk once it was moved into the database."""
BUSY_SECONDS = 10.0


class Store:
    """The state of one agent. Methods block for as long as a small SQLite statement takes."""

    def __init__(self, path: Path, *, identity_file: Path | None = None) -> None:
        """Open or create the database at ``path``; a damaged one is set aside, and that is logged.

        ``identity_file`` keeps the agent's id and what has started, should the database be lost.
        Raises ``StateError`` when the database was written by a newer version or cannot be opened.
        """
        self.path = path
        self.set_aside: Path | None = None
        self.lost = False
        """There was a database before, and what it said is gone: everything that exists is sent again."""
        in_files = str(path) != ":memory:"
        self.reads = Marks(path.with_suffix(".reads") if in_files else None)
        """How far each stream was read, as against settled."""
        self._settled = Settled(path.with_suffix(".settled") if in_files else None)
        self._identity = identity_file
        self._is_new = False
        try:
            self._db = self._open()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not is_damage(error, path):
                raise _out_of_reach(path, error) from error
            self.set_aside = set_aside(path)
            log.error("state_damaged", path=str(path), error=str(error), kept_as=str(self.set_aside))
            self._db = self._open()
        if identity_file is not None:
            try:
                self._recover(identity_file)
            except sqlite3.Error as error:
                self._db.close()
                raise _out_of_reach(path, error) from error

    def _recover(self, path: Path) -> None:
        """Take over into a new database what outlives a lost one, and say what follows from the loss."""
        kept = identity.read(path)
        if self._is_new and kept is not None:
            with self._transaction(durable=True) as db:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('agent_id', ?)", (kept.agent_id,))
                db.executemany("INSERT OR IGNORE INTO started VALUES (?, ?)", sorted(kept.started))
        if self._is_new and (kept is not None or self.set_aside is not None):
            self.lost = True
            log.error(
                "state_lost",
                path=str(self.path),
                same_ids=kept is not None,
                consequence="every file that exists is read from its beginning and sent again",
            )
        elif self._is_new:
            log.info("state_created", path=str(self.path))
        self.agent_id()  # also where the configuration names one: it is what tells a loss from a first start
        self._keep_identity(kept)

    def _keep_identity(self, kept: Identity | None = None) -> None:
        """Write down what outlives the database, where that is not ``kept`` already."""
        if self._identity is None:
            return
        agent_id = self.get_meta("agent_id")
        started = frozenset(self._db.execute("SELECT lane, source FROM started"))
        if agent_id is not None and (now := Identity(agent_id=agent_id, started=started)) != kept:
            identity.write(self._identity, now)

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
            db.execute("PRAGMA wal_autocheckpoint=0")  # a commit must not wait for the disk: see checkpoint()
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version={VERSION}; COMMIT;")
                self._is_new = True
            elif found > VERSION:
                said = f"written by a newer version (schema {found}, this is {VERSION})"
                raise StateError(f"{self.path}: {said}; upgrade the agent")
            check(db)
            db.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version={VERSION}; ROLLBACK;")  # fails where none can write
            with suppress(sqlite3.OperationalError):  # a full disk: later then
                # An agent that is killed again and again before its first checkpoint must not fill the disk.
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the database; everything committed stays."""
        self.reads.close()
        self._settled.close()
        self._db.close()

    def adopt(self, other: Path, *, cursors: bool = False) -> None:
        """Take over the agent id and the streams of another database, which may be in use; its cursors if asked to."""
        with closing(sqlite3.connect(f"file:{quote(str(other))}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as db:
            meta = db.execute("SELECT key, value FROM meta").fetchall()
            streams = db.execute("SELECT * FROM streams").fetchall()
            copies = db.execute("SELECT * FROM copies").fetchall()
            settled = db.execute("SELECT * FROM cursors").fetchall() if cursors else []
        with self._transaction() as own:
            own.executemany("INSERT OR REPLACE INTO meta VALUES (?,?)", meta)
            own.executemany(_PUT_STREAM, streams)
            own.executemany(_PUT_COPY, copies)
            own.executemany(_PUT_CURSOR, settled)

    def make_durable(self) -> None:
        """Put everything committed so far on disk; it fsyncs, so call it on a thread. Raises ``OSError``."""
        # What is not in the write-ahead log any more was fsynced when it was moved out of it.
        try:
            descriptor = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def checkpoint(self) -> str | None:
        """Move the write-ahead log into the database and read that through; return what is damaged, None: nothing.

        It fsyncs, so call it on a thread.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
                # Nobody else would notice: the connection in use has its pages in memory.
                found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
                return None if found == "ok" else found
        except sqlite3.OperationalError as error:
            log.warning("state_checkpoint_failed", error=str(error))
        except sqlite3.DatabaseError as error:
            return str(error)
        return None

    @contextmanager
    def _transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        if durable:
            self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            if durable:
                self._db.execute("PRAGMA synchronous=NORMAL")

    def agent_id(self) -> str:
        """Return the id made for this agent at its first start."""
        with self._transaction(durable=True) as db:
            made = db.execute("INSERT OR IGNORE INTO meta VALUES ('agent_id', ?)", (str(uuid.uuid4()),)).rowcount
            agent_id = str(db.execute("SELECT value FROM meta WHERE key = 'agent_id'").fetchone()[0])
        if made:
            self._keep_identity()
        return agent_id

    def get_meta(self, key: str) -> str | None:
        """Return the text stored under ``key``, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store ``value`` under ``key``."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def streams(self, source: str) -> list[StreamRow]:
        """Return every stream of ``source`` ever seen."""
        rows = self._db.execute(
            "SELECT id, source, family, head, head_bytes, generation, path, device, inode, size"
            " FROM streams WHERE source = ?",
            (source,),
        )
        return [
            StreamRow(
                id=r[0],
                source=r[1],
                family=os.fsdecode(r[2]),
                head=r[3],
                head_bytes=r[4],
                generation=r[5],
                path=os.fsdecode(r[6]),
                device=r[7],
                inode=r[8],
                size=r[9],
            )
            for r in rows
        ]

    def recall_reads(self) -> None:
        """Find the read marks of an earlier run."""
        self.reads.recall({r[0] for r in self._db.execute("SELECT id FROM streams")})

    def put_streams(self, rows: Iterable[StreamRow], *, durable: bool) -> None:
        """Insert or update ``rows``; ``durable`` when one of them is new."""
        with self._transaction(durable=durable) as db:
            db.executemany(_PUT_STREAM, map(_stream_values, rows))

    def forget_stream(self, stream: str) -> None:
        """Drop everything about a stream whose file was removed for good."""
        with self._transaction() as db:
            db.execute("DELETE FROM streams WHERE id = ?", (stream,))
            db.execute("DELETE FROM cursors WHERE stream = ?", (stream,))
            db.execute("DELETE FROM copies WHERE stream = ?", (stream,))
        self._settled.forget_stream(stream)
        self.reads.forget(stream)

    def copies(self, source: str) -> list[CopyRow]:
        """Return the files known to be copies of streams of ``source``."""
        rows = self._db.execute(
            "SELECT path, device, inode, size, mtime_ns, stream, length, mark FROM copies WHERE source = ?", (source,)
        )
        return [
            CopyRow(
                source=source,
                path=os.fsdecode(r[0]),
                device=r[1],
                inode=r[2],
                size=r[3],
                mtime_ns=r[4],
                stream=r[5],
                length=r[6],
                mark=r[7],
            )
            for r in rows
        ]

    def put_copy(self, row: CopyRow) -> None:
        """Remember that a file holds a copy of a stream."""
        with self._transaction() as db:
            db.execute(
                _PUT_COPY,
                (
                    row.source,
                    os.fsencode(row.path),
                    row.device,
                    row.inode,
                    row.size,
                    row.mtime_ns,
                    row.stream,
                    row.length,
                    row.mark,
                ),
            )

    def cursors(self, lane: str) -> list[CursorRow]:
        """Return where ``lane`` stands in every stream it ever read."""
        rows = self._db.execute("SELECT stream, position, mark_at, mark FROM cursors WHERE lane = ?", (lane,))
        return [CursorRow(stream=r[0], position=r[1], mark_at=r[2], mark=r[3]) for r in rows]

    def settle(self, lane: str, stream: str, position: int) -> None:
        """Note that ``lane`` has settled ``stream`` up to ``position``, until its cursor is committed."""
        self._settled.put(lane, stream, position)

    def recall_settled(self) -> None:
        """Move the cursors to what an earlier run had settled when it was killed. Before any lane reads them.

        Only cursors that were committed once are moved: a mark alone does not tell for whom it was made. Where the
        state cannot be written they stay where they are, and that much is sent again under the same ids.
        """
        try:
            self._recall_settled()
        except sqlite3.Error as error:
            log.warning("settled_marks_unused", path=str(self.path), error=str(error))
        self._settled.clear()

    def _recall_settled(self) -> None:
        ahead = self._settled.ahead(self._db.execute("SELECT lane, stream, position FROM cursors"))
        if ahead:
            with self._transaction() as db:
                db.executemany("UPDATE cursors SET position = ? WHERE lane = ? AND stream = ?", ahead)
                db.executemany(
                    "UPDATE streams SET size = max(size, ?) WHERE id = ?",
                    [(offset, stream) for offset, _lane, stream in ahead],
                )

    def lanes(self) -> list[str]:
        """Return the name of every lane that ever committed a cursor."""
        return [r[0] for r in self._db.execute("SELECT DISTINCT lane FROM cursors")]

    def commit_cursors(self, moved: Mapping[str, Iterable[CursorRow]], streams: Iterable[StreamRow] = ()) -> None:
        """Move the cursors of several lanes together with what is known of their streams, or none of them."""
        values = [_cursor_values(lane, row) for lane, rows in moved.items() for row in rows]
        with self._transaction() as db:
            db.executemany(_PUT_CURSOR, values)
            db.executemany(_PUT_STREAM, map(_stream_values, streams))

    def drop_cursors(self, lane: str) -> None:
        """Forget where ``lane`` stood, for a job that is finished or a destination that is gone."""
        self._settled.forget_lane(lane)
        with self._transaction() as db:
            db.execute("DELETE FROM cursors WHERE lane = ?", (lane,))
            db.execute("DELETE FROM started WHERE lane = ?", (lane,))
        self._keep_identity()

    def copy_lanes(self, names: Mapping[str, str]) -> None:
        """Give new lanes what the old ones have, all at once: names may be exchanged. The old ones keep theirs."""
        apart = "\0"  # no lane's name has it
        with self._transaction() as db:
            for table, rest in (("cursors", "stream, position, mark_at, mark"), ("started", "source")):
                for old, new in names.items():
                    copied = f"INSERT INTO {table} (lane, {rest}) SELECT ?, {rest} FROM {table} WHERE lane = ?"  # noqa: S608
                    db.execute(copied, (apart + new, old))
                for new in names.values():
                    db.execute(f"DELETE FROM {table} WHERE lane = ?", (new,))  # noqa: S608
                    db.execute(f"UPDATE {table} SET lane = ? WHERE lane = ?", (new, apart + new))  # noqa: S608
        self._keep_identity()

    def has_started(self, lane: str, source: str) -> bool:
        """Tell whether ``lane`` has read ``source`` in an earlier run."""
        query = "SELECT 1 FROM started WHERE lane = ? AND source = ?"
        return self._db.execute(query, (lane, source)).fetchone() is not None

    def set_started(self, lane: str, source: str, skipped: Iterable[CursorRow] = ()) -> None:
        """Remember that ``lane`` has started on ``source``, and what it ``skipped`` of it: both, or neither."""
        with self._transaction() as db:
            new = db.execute("INSERT OR IGNORE INTO started VALUES (?, ?)", (lane, source)).rowcount
            db.executemany(_PUT_CURSOR, [_cursor_values(lane, row) for row in skipped])
        if new:
            self._keep_identity()


_PUT_CURSOR = "INSERT OR REPLACE INTO cursors VALUES (?,?,?,?,?)"
_PUT_COPY = "INSERT OR REPLACE INTO copies VALUES (?,?,?,?,?,?,?,?,?)"
_PUT_STREAM = "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?,?,?)"


def _cursor_values(lane: str, row: CursorRow) -> tuple[object, ...]:
    return lane, row.stream, row.position, row.mark_at, row.mark


def _stream_values(row: StreamRow) -> tuple[object, ...]:
    return (
        row.id,
        row.source,
        os.fsencode(row.family),
        row.head,
        row.head_bytes,
        row.generation,
        os.fsencode(row.path),
        row.device,
        row.inode,
        row.size,
        time.time(),
    )


def _out_of_reach(path: Path, error: Exception) -> StateError:
    return StateError(f"{path}: cannot be opened: {error}; check the permissions and the disk of the state directory")
