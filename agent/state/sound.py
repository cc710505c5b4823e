"""Whether a state.db is what this version wrote: structure, tables, the type and the text of every value."""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from contextlib import closing
from pathlib import Path

from agent.state.schema import TABLES

_GENERIC = 1
"""SQLITE_ERROR: SQL that does not fit the file, such as an unsupported format or a missing table."""
_READONLY = 8
"""SQLITE_READONLY: what may not be written, or a header that says so."""


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


def is_damage(error: Exception, path: Path) -> bool:
    """Tell whether an error while opening ``path`` means that the file is damaged, rather than out of reach."""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    code: int = getattr(error, "sqlite_errorcode", _GENERIC)  # text that is not UTF-8 comes without one
    if code == _READONLY:
        # The file system would let us write: then it is the file's header that does not.
        return all(os.access(at, os.W_OK, effective_ids=True) for at in (path, path.parent))
    return code & 0xFF == _GENERIC


def set_aside(path: Path) -> Path:
    """Rename a damaged database and what belongs to it, to be looked at by people; return its new name."""
    kept = path.with_name(f"{path.name}.damaged-{int(time.time())}-{uuid.uuid4().hex[:6]}")
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{kept}{suffix}")
    return kept
