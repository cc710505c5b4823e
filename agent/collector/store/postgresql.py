"""Events into PostgreSQL by COPY, within one transaction; ids of which some are there already by way of a table."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import psycopg

from agent.collector.store.records import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.collector.store.incoming import Incoming

BLOCK = 100_000
"""Ids are taken from the sequence in blocks of this many: no process waits for another to number its events."""
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_COPY_ID = "COPY {} (org, stream, position, id) FROM STDIN (FORMAT BINARY)"
_COPY_EVENT = (
    "COPY events (id, org, received_at, stream, position, log_type, hostname, envelope) FROM STDIN (FORMAT BINARY)"
)
_ID = struct.Struct(">hiii16siqiq")
_EVENT = struct.Struct(">hiqiiiqi16siqi")
_LENGTH = struct.Struct(">i")
_IDS = """
INSERT INTO ids (org, stream, position, id)
SELECT org, stream, position, id FROM incoming ORDER BY org, stream, position
ON CONFLICT DO NOTHING
"""
_KNOWN = """
SELECT incoming.id FROM incoming JOIN ids USING (org, stream, position) WHERE ids.id <> incoming.id
"""
_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    org INTEGER NOT NULL, stream BYTEA NOT NULL, position BIGINT NOT NULL, id BIGINT NOT NULL
) ON COMMIT DELETE ROWS
"""


class Writer:
    """The one connection of this process that stores events."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 # the driver's
        """Write through the driver's ``connection``."""
        self._db = connection

    def begin(self) -> None:
        """Begin a transaction: the first statement does."""

    def last_id(self) -> int:
        """Return the id before the first one that may be given in this transaction, of ``BLOCK``."""
        found: int = self._db.execute("SELECT nextval('event_ids')").fetchone()[0]
        return found

    def insert_new(self, events: Sequence[Incoming]) -> bool:
        """Store all of them if none was there, and tell whether so; else nothing is stored."""
        self._db.execute("SAVEPOINT fresh")
        try:
            self._copy(_COPY_ID.format("ids"), _ids(events))
        except psycopg.errors.UniqueViolation:
            self._db.execute("ROLLBACK TO SAVEPOINT fresh")
            return False
        self._rest(events)
        return True

    def insert(self, events: Sequence[Incoming]) -> set[int]:
        """Store what was not there; return the ids of those that were. Two of them have never the same key."""
        self._db.execute(_INCOMING)
        self._copy(_COPY_ID.format("incoming"), _ids(events))
        known: set[int] = set()
        if self._db.execute(_IDS).rowcount < len(events):
            known = {row[0] for row in self._db.execute(_KNOWN)}
        self._rest([e for e in events if e.id not in known] if known else events)
        return known

    def _rest(self, events: Sequence[Incoming]) -> None:
        self._copy(_COPY_EVENT, map(_packed, events))
        for table, rows in records(events).tables():
            with self._db.cursor() as cursor, cursor.copy(f"COPY {table.name} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

    def _copy(self, statement: str, rows: Iterable[bytes]) -> None:
        with self._db.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(b"".join((_HEAD, *rows, _END)))

    def commit(self) -> None:
        """Make it durable."""
        self._db.commit()

    def roll_back(self) -> None:
        """Undo it."""
        self._db.rollback()

    def probe(self) -> None:
        """Find out whether it can be written to."""
        self._db.execute("CREATE TEMPORARY TABLE probe (room INTEGER) ON COMMIT DROP")
        self._db.commit()


def _ids(events: Sequence[Incoming]) -> list[bytes]:
    # In the order of the key: two processes that store the same events would else wait for each other.
    keys = sorted((e[1], e[3], e[4], e[0]) for e in events)
    return [_ID.pack(4, 4, org, 16, stream, 8, position, 8, id_) for org, stream, position, id_ in keys]


def _packed(event: Incoming) -> bytes:
    id_, org, received_at, stream, position, log_type, hostname, envelope = event
    kind, host = log_type.encode(), hostname.encode()
    return b"".join(
        (
            _EVENT.pack(8, 8, id_, 4, org, 8, received_at, 16, stream, 8, position, len(kind)),
            kind,
            _LENGTH.pack(len(host)),
            host,
            _LENGTH.pack(len(envelope)),
            envelope,
        )
    )
