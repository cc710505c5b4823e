"""Rows of another state, taken over as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent.state.database import BUSY_SECONDS, transaction

if TYPE_CHECKING:
    from pathlib import Path


def adopt(db: sqlite3.Connection, other: Path, *, cursors: bool) -> None:
    """Take over the agent id and the streams of ``other``, a database that may be in use; its cursors if asked to."""
    tables = ("meta", "streams", "copies", *(("cursors",) if cursors else ()))
    with closing(sqlite3.connect(f"file:{quote(str(other))}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as theirs:
        found = {table: theirs.execute(f"SELECT * FROM {table}").fetchall() for table in tables}  # noqa: S608
    with transaction(db) as own:
        for table, rows in found.items():
            if rows:
                values = ",".join("?" * len(rows[0]))
                own.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({values})", rows)  # noqa: S608
