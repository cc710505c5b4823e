"""What the state knows of a lane under its name, its cursors and the sources it has started on: copied and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_TABLES = (("cursors", "stream, position, mark_at, mark"), ("started", "source"))
_APART = "\0"
"""No lane's name has it."""


def names(db: sqlite3.Connection) -> list[str]:
    """Return the name of every lane that ever committed a cursor."""
    return [r[0] for r in db.execute("SELECT DISTINCT lane FROM cursors")]


def drop(db: sqlite3.Connection, lane: str) -> None:
    """Forget everything about ``lane``."""
    for table, _rest in _TABLES:
        db.execute(f"DELETE FROM {table} WHERE lane = ?", (lane,))  # noqa: S608 - names of our own schema


def copy(db: sqlite3.Connection, renamed: Mapping[str, str]) -> None:
    """Give new lanes what the old ones have, all at once: names may be exchanged. The old ones keep theirs."""
    for table, rest in _TABLES:
        for old, new in renamed.items():
            copied = f"INSERT INTO {table} (lane, {rest}) SELECT ?, {rest} FROM {table} WHERE lane = ?"  # noqa: S608
            db.execute(copied, (_APART + new, old))
        for new in renamed.values():
            db.execute(f"DELETE FROM {table} WHERE lane = ?", (new,))  # noqa: S608
            db.execute(f"UPDATE {table} SET lane = ? WHERE lane = ?", (new, _APART + new))  # noqa: S608


def started(db: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return every (lane, source) that has started."""
    return frozenset(db.execute("SELECT lane, source FROM started"))


def has_started(db: sqlite3.Connection, lane: str, source: str) -> bool:
    """Tell whether ``lane`` has ever read ``source``."""
    query = "SELECT 1 FROM started WHERE lane = ? AND source = ?"
    return db.execute(query, (lane, source)).fetchone() is not None


def set_started(db: sqlite3.Connection, lane: str, source: str) -> bool:
    """Remember that ``lane`` has started on ``source``; tell whether that is new."""
    return db.execute("INSERT OR IGNORE INTO started VALUES (?, ?)", (lane, source)).rowcount > 0
