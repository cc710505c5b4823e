"""Organisations: each has a small number in the database, by which its rows are kept apart from the others'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from agent.collector.store.tables import ORGS

if TYPE_CHECKING:
    from agent.collector.store.database import Database


class Orgs:
    """The numbers that are known already; they never change."""

    def __init__(self) -> None:
        """Know none."""
        self._numbers: dict[str, int] = {}

    def known(self, org_id: str) -> int | None:
        """Return the number of ``org_id``, None when this process has not met it."""
        return self._numbers.get(org_id)

    def find(self, connection: sa.Connection, org_id: str) -> int | None:
        """Return the number of ``org_id``, None when nothing was ever stored for it."""
        if org_id not in self._numbers:
            found = connection.execute(sa.select(ORGS.c.org).where(ORGS.c.org_id == org_id)).scalar()
            if found is None:
                return None
            self._numbers[org_id] = int(found)
        return self._numbers[org_id]

    def make(self, database: Database, org_id: str) -> int:
        """Return the number of ``org_id``, and give it one when it has none."""
        if org_id not in self._numbers:
            insert = sa.text("INSERT INTO orgs (org_id) VALUES (:org_id) ON CONFLICT DO NOTHING")
            with database.writing() as connection:
                connection.execute(insert, {"org_id": org_id})
            with database.reading() as connection:
                found = self.find(connection, org_id)
            assert found is not None  # noqa: S101 # it was just made, and none is ever removed
            return found
        return self._numbers[org_id]
