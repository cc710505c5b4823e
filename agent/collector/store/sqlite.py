"""Events into SQLite: many rows with one prepared statement, within one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.collector.store.records import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.collector.store.incoming import Incoming

_IDS = "INSERT OR IGNORE INTO ids (org, stream, position, id) VALUES (?,?,?,?)"
_KNOWN = "SELECT id FROM ids WHERE org = ? AND stream = ? AND position = ?"
_EVENTS = (
    "INSERT INTO events (id, org, received_at, stream, position, log_type, hostname, envelope) VALUES (?,?,?,?,?,?,?,?)"
)


class Writer:
    """The one connection of this process that stores events."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 # the driver's
        """Write through the driver's ``connection``."""
        self._db = connection

    def begin(self) -> None:
        """Begin a transaction."""
        self._db.execute("BEGIN IMMEDIATE")

    def last_id(self) -> int:
        """Return the id before the first one that may be given in this transaction."""
        found: int | None = self._db.execute("SELECT max(id) FROM events").fetchone()[0]
        return found or 0

    def insert_new(self, events: Sequence[Incoming]) -> bool:
        """Store all of them if none was there, and tell whether so; else nothing is stored."""
        self._db.execute("SAVEPOINT fresh")
        if self._ids(events) < len(events):
            self._db.execute("ROLLBACK TO fresh")
            return False
        self._rest(events)
        return True

    def insert(self, events: Sequence[Incoming]) -> set[int]:
        """Store what was not there; return the ids of those that were. Two of them have never the same key."""
        known: set[int] = set()
        if self._ids(events) < len(events):
            known = {
                e.id for e in events if self._db.execute(_KNOWN, (e.org, e.stream, e.position)).fetchone()[0] != e.id
            }
        self._rest([e for e in events if e.id not in known] if known else events)
        return known

    def _ids(self, events: Sequence[Incoming]) -> int:
        inserted: int = self._db.executemany(_IDS, [(e[1], e[3], e[4], e[0]) for e in events]).rowcount
        return inserted

    def _rest(self, events: Sequence[Incoming]) -> None:
        self._db.executemany(_EVENTS, events)
        for table, rows in records(events).tables():
            marks = ",".join("?" * len(table.columns))
            self._db.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608 # our own names

    def commit(self) -> None:
        """Make it durable."""
        self._db.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo it."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def probe(self) -> None:
        """Find out whether it can be written to: a file of some size, and gone again."""
        self._db.execute("DROP TABLE IF EXISTS probe")
        self._db.execute("CREATE TABLE probe AS SELECT zeroblob(65536) AS room")
        self._db.execute("DROP TABLE probe")
