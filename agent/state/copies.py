"""The table of copies: files known to hold the same bytes as a stream."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.state.records import CopyRow

if TYPE_CHECKING:
    import sqlite3


def of(db: sqlite3.Connection, source: str) -> list[CopyRow]:
    """Return the files known to be copies of streams of ``source``."""
    rows = db.execute(
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


def put(db: sqlite3.Connection, row: CopyRow) -> None:
    """Insert or update ``row``."""
    db.execute(
        "INSERT OR REPLACE INTO copies VALUES (?,?,?,?,?,?,?,?,?)",
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


def forget(db: sqlite3.Connection, stream: str) -> None:
    """Drop the copies of ``stream``."""
    db.execute("DELETE FROM copies WHERE stream = ?", (stream,))
