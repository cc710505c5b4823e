"""The agent's id in the database: made once, the same ever after."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def get(db: sqlite3.Connection) -> str | None:
    """Return the id, None before it was made."""
    row = db.execute("SELECT value FROM meta WHERE key = 'agent_id'").fetchone()
    return None if row is None else str(row[0])


def make(db: sqlite3.Connection) -> tuple[str, bool]:
    """Return the id, made now unless there is one, and whether it was."""
    own = get(db)
    if own is not None:
        return own, False
    made = str(uuid.uuid4())
    take(db, made)
    return made, True


def take(db: sqlite3.Connection, kept: str) -> None:
    """Make ``kept`` the id."""
    db.execute("INSERT OR REPLACE INTO meta VALUES ('agent_id', ?)", (kept,))
