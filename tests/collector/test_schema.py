"""The database's schema: what its steps make is what the code works with; older files are taken over."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from agent.collector.store import Store
from agent.collector.store.schema import version
from agent.collector.store.schema_steps import STEPS
from agent.collector.store.tables import METADATA
from agent.errors import AgentError
from tests.collector.calls import bulk, collecting, event

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("times", [1, 2])
def test_the_steps_make_the_tables_that_the_code_works_with(tmp_path: Path, times: int) -> None:
    for _ in range(times):
        store = Store(str(tmp_path / "c.db"))
        try:
            found = sa.inspect(store.database.engine)
            for table in METADATA.sorted_tables:
                assert {c["name"] for c in found.get_columns(table.name)} == set(table.columns.keys())
            with store.database.writing() as connection:
                assert version(connection) == len(STEPS)
        finally:
            store.close()


@pytest.mark.anyio
async def test_events_of_the_first_form_of_the_file_are_taken_over_and_still_known(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    names = ["5f6f2b1e0c3f4a559f1d2f6d7c0a9b11.1f", "foreign-1", "a"]
    with closing(sqlite3.connect(path)) as old, old:
        old.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, unique_id TEXT NOT NULL UNIQUE, create_time TEXT NOT NULL,"
            " log_type TEXT NOT NULL, received_at REAL NOT NULL, envelope BLOB NOT NULL)"
        )
        old.execute("PRAGMA user_version=1")
        rows = [(n, "2026-05-04", "access", 1.5, json.dumps(event(n)).encode()) for n in names]
        old.executemany(
            "INSERT INTO events (unique_id, create_time, log_type, received_at, envelope) VALUES (?,?,?,?,?)", rows
        )
    async with collecting(str(path)) as c:
        assert c.store.ids() == names
        done, _ = await c.lists(bulk(*map(event, names), event("new")))
        assert done == dict.fromkeys(names, "duplicate")
        assert c.store.ids() == [*names, "new"]
    with pytest.raises(AgentError, match="newer version"):
        _with_a_newer_version(path)


def _with_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE schema_version SET version = 1000")
    Store(str(path)).close()


def test_an_address_that_is_no_database_is_told_and_a_password_never(tmp_path: Path) -> None:
    for url in ("mysql://u:secret@h/d", "nonsense://", "postgresql+asyncpg://u:secret@h/d"):
        with pytest.raises(AgentError) as caught:
            Store(url)
        assert "secret" not in str(caught.value)
        assert "database" in str(caught.value)
    with pytest.raises(AgentError) as caught:
        Store("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
