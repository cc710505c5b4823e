"""state.db: one SQLite file in WAL mode, one agent at a time.

What can be asked and written, and what is written together; the statements stand in one file for each table:
``streams``, ``copies``, ``cursors``, ``lanes`` and ``agent_id``.

Cursor commits are not fsynced: an older cursor only means that events are sent again. A stream's row is, because an
id must never change its meaning once it was sent.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import structlog

from agent.errors import StateError
from agent.state import agent_id, copies, cursors, database, identity, lanes, streams
from agent.state.adopt import adopt
from agent.state.database import transaction
from agent.state.identity import Identity
from agent.state.marks import Marks
from agent.state.settled import Settled
from agent.state.sound import is_damage, set_aside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from agent.state.records import CopyRow, CursorRow, StreamRow

log = structlog.get_logger(__name__)


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
        try:
            self._db, is_new = database.connect(path)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if not is_damage(error, path):
                raise _out_of_reach(path, error) from error
            self.set_aside = set_aside(path)
            log.error("state_damaged", path=str(path), error=str(error), kept_as=str(self.set_aside))
            self._db, is_new = database.connect(path)
        if identity_file is not None:
            try:
                self._recover(identity_file, is_new=is_new)
            except sqlite3.Error as error:
                self._db.close()
                raise _out_of_reach(path, error) from error

    def _recover(self, path: Path, *, is_new: bool) -> None:
        """Take over into a new database what outlives a lost one, and say what follows from the loss."""
        kept = identity.read(path)
        if is_new and kept is not None:
            with transaction(self._db, durable=True) as db:
                agent_id.take(db, kept.agent_id)
                for lane, source in sorted(kept.started):
                    lanes.set_started(db, lane, source)
        if is_new and (kept is not None or self.set_aside is not None):
            self.lost = True
            log.error(
                "state_lost",
                path=str(self.path),
                same_ids=kept is not None,
                consequence="every file that exists is read from its beginning and sent again",
            )
        elif is_new:
            log.info("state_created", path=str(self.path))
        self.agent_id()  # also where the configuration names one: it is what tells a loss from a first start
        self._keep_identity(kept)

    def _keep_identity(self, kept: Identity | None = None) -> None:
        """Write down what outlives the database, where that is not ``kept`` already."""
        if self._identity is None:
            return
        own = agent_id.get(self._db)
        if own is not None and (now := Identity(agent_id=own, started=lanes.started(self._db))) != kept:
            identity.write(self._identity, now)

    def close(self) -> None:
        """Close the database; everything committed stays."""
        self.reads.close()
        self._settled.close()
        self._db.close()

    def make_durable(self) -> None:
        """Put everything committed so far on disk; it fsyncs, so call it on a thread. Raises ``OSError``."""
        database.make_durable(self.path)

    def checkpoint(self) -> str | None:
        """Move the write-ahead log into the database and read that through; return what is damaged, None: nothing.

        It fsyncs, so call it on a thread.
        """
        return database.checkpoint(self.path)

    def adopt(self, other: Path, *, cursors: bool = False) -> None:
        """Take over the agent id and the streams of another database, which may be in use; its cursors if asked to."""
        adopt(self._db, other, cursors=cursors)

    def agent_id(self) -> str:
        """Return the id made for this agent at its first start."""
        with transaction(self._db, durable=True) as db:
            own, made = agent_id.make(db)
        if made:
            self._keep_identity()
        return own

    def streams(self, source: str) -> list[StreamRow]:
        """Return every stream of ``source`` ever seen."""
        return streams.of(self._db, source)

    def put_streams(self, rows: Iterable[StreamRow], *, durable: bool) -> None:
        """Insert or update ``rows``; ``durable`` when one of them is new."""
        with transaction(self._db, durable=durable) as db:
            streams.put(db, rows)

    def forget_stream(self, stream: str) -> None:
        """Drop everything about a stream whose file was removed for good."""
        with transaction(self._db) as db:
            streams.forget(db, stream)
            cursors.forget(db, stream)
            copies.forget(db, stream)
        self._settled.forget_stream(stream)
        self.reads.forget(stream)

    def copies(self, source: str) -> list[CopyRow]:
        """Return the files known to be copies of streams of ``source``."""
        return copies.of(self._db, source)

    def put_copy(self, row: CopyRow) -> None:
        """Remember that a file holds a copy of a stream."""
        with transaction(self._db) as db:
            copies.put(db, row)

    def recall_reads(self) -> None:
        """Find the read marks of an earlier run."""
        self.reads.recall(streams.ids(self._db))

    def cursors(self, lane: str) -> list[CursorRow]:
        """Return where ``lane`` stands in every stream it ever read."""
        return cursors.of(self._db, lane)

    def commit_cursors(self, moved: Mapping[str, Iterable[CursorRow]], seen: Iterable[StreamRow] = ()) -> None:
        """Move the cursors of several lanes together with what is known of their streams, or none of them."""
        with transaction(self._db) as db:
            for lane, rows in moved.items():
                cursors.put(db, lane, rows)
            streams.put(db, seen)

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
        ahead = self._settled.ahead(cursors.positions(self._db))
        if ahead:
            with transaction(self._db) as db:
                cursors.advance(db, ahead)
                streams.reach(db, [(offset, stream) for offset, _lane, stream in ahead])

    def lanes(self) -> list[str]:
        """Return the name of every lane that ever committed a cursor."""
        return lanes.names(self._db)

    def has_started(self, lane: str, source: str) -> bool:
        """Tell whether ``lane`` has read ``source`` in an earlier run."""
        return lanes.has_started(self._db, lane, source)

    def set_started(self, lane: str, source: str, skipped: Iterable[CursorRow] = ()) -> None:
        """Remember that ``lane`` has started on ``source``, and what it ``skipped`` of it: both, or neither."""
        with transaction(self._db) as db:
            new = lanes.set_started(db, lane, source)
            cursors.put(db, lane, skipped)
        if new:
            self._keep_identity()

    def copy_lanes(self, renamed: Mapping[str, str]) -> None:
        """Give new lanes what the old ones have, all at once: names may be exchanged. The old ones keep theirs."""
        with transaction(self._db) as db:
            lanes.copy(db, renamed)
        self._keep_identity()

    def drop_cursors(self, lane: str) -> None:
        """Forget where ``lane`` stood, for a job that is finished or a destination that is gone."""
        self._settled.forget_lane(lane)
        with transaction(self._db) as db:
            lanes.drop(db, lane)
        self._keep_identity()


def _out_of_reach(path: Path, error: Exception) -> StateError:
    return StateError(f"{path}: cannot be opened: {error}; check the permissions and the disk of the state directory")
