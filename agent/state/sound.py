"""Whether a state.db is what this version wrote: structure, tables, the type and the text of every value."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from agent.state.schema import TABLES

_GENERIC = 1
"""SQLITE_ERROR: SQL that does not fit the file, such as an unsupported format or a missing table."""


def check(db: sqlite3.Connection) -> None:
    """Read everything once; raises ``sqlite3.DatabaseError`` or ``UnicodeDecodeError`` when something is damaged."""
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise sqlite3.DatabaseError(problem)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(TABLES)
        wanted = set(model.execute("SELECT name, sql FROM sqlite_master"))
    if set(db.execute("SELECT name, sql FROM sqlite_master")) != wanted:
        raise sqlite3.DatabaseError("the tables are not those of this version")
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _number, column, kind, *_rest in db.execute(f"PRAGMA table_info({table})").fetchall():
            query = f"SELECT 1 FROM {table} WHERE typeof({column}) <> ? LIMIT 1"  # noqa: S608 - names of our own schema
            if db.execute(query, (kind.lower(),)).fetchone():
                raise sqlite3.DatabaseError(f"{table}.{column} holds what was never written there")
        for _row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608 - as above
            pass  # text that is not UTF-8 shows when it is fetched


def is_damage(error: Exception) -> bool:
    """Tell whether an error while opening means that the file is damaged, rather than out of reach."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    return error.sqlite_errorcode & 0xFF == _GENERIC if hasattr(error, "sqlite_errorcode") else True
