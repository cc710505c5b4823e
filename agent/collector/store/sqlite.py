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

    def insert(self, events: Sequence[Incoming]) -> set[int]:
        """Store what was not there; return the ids of those that were. Two of them have never the same key."""
        ids = [(e.org, e.stream, e.position, e.id) for e in events]
        inserted: int = self._db.executemany(_IDS, ids).rowcount
        known: set[int] = set()
        if inserted < len(ids):
            known = {id_ for *key, id_ in ids if self._db.execute(_KNOWN, key).fetchone()[0] != id_}
        fresh = [e for e in events if e.id not in known] if known else events
        self._db.executemany(_EVENTS, fresh)
        for table, rows in records(fresh).tables():
            marks = ",".join("?" * len(table.columns))
            self._db.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608 # our own names
        return known

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
