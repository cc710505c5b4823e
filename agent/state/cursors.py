"""The table of cursors: how far each lane has settled each stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.state.records import CursorRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


def of(db: sqlite3.Connection, lane: str) -> list[CursorRow]:
    """Return where ``lane`` stands in every stream it ever read."""
    rows = db.execute("SELECT stream, position, mark_at, mark FROM cursors WHERE lane = ?", (lane,))
    return [CursorRow(stream=r[0], position=r[1], mark_at=r[2], mark=r[3]) for r in rows]


def positions(db: sqlite3.Connection) -> Iterable[tuple[str, str, int]]:
    """Return (lane, stream, position) of every cursor."""
    return db.execute("SELECT lane, stream, position FROM cursors")


def put(db: sqlite3.Connection, lane: str, rows: Iterable[CursorRow]) -> None:
    """Insert or move the cursors of ``lane``."""
    values = [(lane, row.stream, row.position, row.mark_at, row.mark) for row in rows]
    db.executemany("INSERT OR REPLACE INTO cursors VALUES (?,?,?,?,?)", values)


def advance(db: sqlite3.Connection, ahead: Iterable[tuple[int, str, str]]) -> None:
    """Move cursors that exist: (position, lane, stream) each."""
    db.executemany("UPDATE cursors SET position = ? WHERE lane = ? AND stream = ?", ahead)


def forget(db: sqlite3.Connection, stream: str) -> None:
    """Drop every lane's cursor in ``stream``."""
    db.execute("DELETE FROM cursors WHERE stream = ?", (stream,))
