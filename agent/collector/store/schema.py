"""Numbered steps from an empty database to the one this version works with; each is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from agent.collector.store import schema_steps
from agent.errors import AgentError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from agent.collector.store.database import Database

_LOCK = 0x61756469
"""PostgreSQL's advisory lock: of several collectors that start at once one migrates, the others wait."""


def migrate(database: Database) -> None:
    """Bring the database to this version's schema. Raises ``AgentError`` when a newer version has written it."""
    while _one_step(database):
        pass


def _one_step(database: Database) -> bool:
    """Take the next step, if there is one."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = version(connection)
        if found > len(schema_steps.STEPS):
            raise AgentError(f"written by a newer version (schema {found}, this is {len(schema_steps.STEPS)})")
        if found == len(schema_steps.STEPS):
            return False
        schema_steps.STEPS[found](connection)
        connection.execute(text("DELETE FROM schema_version"))
        connection.execute(text("INSERT INTO schema_version (version) VALUES (:version)"), {"version": found + 1})
        return True


def version(connection: Connection) -> int:
    """Return the number of steps the database has taken."""
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
    found = connection.execute(text("SELECT version FROM schema_version")).scalar()
    return int(found) if found is not None else 0
