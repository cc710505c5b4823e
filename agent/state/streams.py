"""The table of streams: every generation of every file ever seen."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from agent.state.records import StreamRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


def of(db: sqlite3.Connection, source: str) -> list[StreamRow]:
    """Return every stream of ``source`` ever seen."""
    rows = db.execute(
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


def ids(db: sqlite3.Connection) -> set[str]:
    """Return the id of every stream."""
    return {r[0] for r in db.execute("SELECT id FROM streams")}


def put(db: sqlite3.Connection, rows: Iterable[StreamRow]) -> None:
    """Insert or update ``rows``."""
    db.executemany("INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?,?,?)", map(_values, rows))


def reach(db: sqlite3.Connection, settled: Iterable[tuple[int, str]]) -> None:
    """Note that streams have at least so many bytes: (offset, stream) each."""
    db.executemany("UPDATE streams SET size = max(size, ?) WHERE id = ?", settled)


def forget(db: sqlite3.Connection, stream: str) -> None:
    """Drop the stream; its cursors and copies are rows of their own."""
    db.execute("DELETE FROM streams WHERE id = ?", (stream,))


def _values(row: StreamRow) -> tuple[object, ...]:
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
