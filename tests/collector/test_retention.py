"""What is kept how long; on PostgreSQL by days that are dropped, and by two collectors at once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from agent.collector.store import partitions
from agent.collector.store.events import first_after
from agent.collector.store.records import microseconds
from agent.collector.store.retention import Keep, maintain, size
from tests.collector.calls import Caller, bulk, collecting, event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgresql import Server

pytestmark = [pytest.mark.anyio]
each = pytest.mark.usefixtures("each_database")
DAY = timedelta(days=1)


def record(name: str) -> dict[str, Any]:
    """Return an event that is a record with an attribute."""
    attributes = [{"attribute_id": "i", "attribute_type": "t"}]
    return event(name, event={"log_type": "api", "audit_attributes": attributes})


async def age(c: Caller, names: list[str], when: datetime) -> None:
    """Make it so that events arrived at ``when``."""
    at = microseconds(when)

    def change(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            partitions.make_ahead(connection, when)
        ids = [row.id for row in connection.execute(sa.text("SELECT id, envelope FROM events")) if named(row) in names]
        for table in ("events", "audits", "audit_attributes"):
            update = sa.text(f"UPDATE {table} SET received_at = :at WHERE id = :id")
            connection.execute(update, [{"at": at, "id": id_} for id_ in ids])

    await c.store.write(change)


def named(row: Any) -> str:
    return bytes(row.envelope).split(b'"unique_id": "')[1].split(b'"')[0].decode()


async def counts(c: Caller) -> dict[str, int]:
    """Return how many rows each table has."""
    tables = ("events", "ids", "audits", "audit_attributes")

    def query(connection: sa.Connection) -> dict[str, int]:
        return {t: int(connection.execute(sa.text(f"SELECT count(*) FROM {t}")).scalar() or 0) for t in tables}

    return await c.store.read(query)


@each
async def test_what_is_too_old_goes_with_its_id_and_its_records_and_nothing_else() -> None:
    async with collecting() as c:
        old = [f"old{n}" for n in range(7)]
        await c.lists(bulk(*map(record, old)))
        await c.lists(bulk(*(record(f"new{n}") for n in range(3))))
        await age(c, old, datetime.now(UTC) - 10 * DAY)
        assert maintain(c.store.database, Keep(max_age_seconds=20 * 86_400)) == 0
        assert maintain(c.store.database, Keep(max_age_seconds=5 * 86_400)) == 7
        assert c.store.ids() == ["new0", "new1", "new2"]
        assert await counts(c) == {"events": 3, "ids": 3, "audits": 3, "audit_attributes": 3}
        assert await c.lists(bulk(record("old0"))) == ({}, {})  # it is new again
        assert len((await c.http.get("/v1/audits")).json()["audits"]) == 4


@each
async def test_the_newest_event_stays_so_that_no_number_is_given_twice(each_database: str) -> None:
    async with collecting() as c:
        await c.lists(bulk(record("a"), record("b")))
        await age(c, ["a", "b"], datetime.now(UTC) - 10 * DAY)
        maintain(c.store.database, Keep(max_age_seconds=60))
        assert c.store.ids() == ([] if each_database == "postgresql" else ["b"])
        await c.lists(bulk(record("c")))
        assert c.store.ids()[-1:] == ["c"]


async def test_a_file_that_is_too_large_loses_its_oldest_events(tmp_path: Path) -> None:
    async with collecting(str(tmp_path / "c.db")) as c:
        for number in range(30):
            pad = {"log_type": "access", "x": "y" * 2000}
            await c.lists(bulk(*(event(f"{number}.{n}", event=pad) for n in range(500))))
        before = c.store.count()
        with c.store.database.reading() as connection:
            wanted = size(connection) // 2
        assert maintain(c.store.database, Keep(max_bytes=wanted)) > 0
        with c.store.database.reading() as connection:
            assert size(connection) <= wanted
        assert 0 < c.store.count() < before
        assert c.store.ids()[-1] == "29.499"


async def test_of_a_database_that_is_too_large_only_as_many_of_the_oldest_days_go_as_needed(server: Server) -> None:
    async with collecting(server.fresh()) as c:
        today = datetime.now(UTC)
        for days_ago in (4, 3, 2):
            names = [f"{days_ago}.{n}" for n in range(400)]
            # What does not compress: the server stores large values compressed.
            await c.lists(
                bulk(*(event(name, event={"log_type": "access", "x": os.urandom(4000).hex()}) for name in names))
            )
            await age(c, names, today - days_ago * DAY)
        await c.lists(bulk(record("new")))
        with c.store.database.reading() as connection:
            wanted = size(connection) - 1
        assert maintain(c.store.database, Keep(max_bytes=wanted + (1 << 30))) == 0
        assert maintain(c.store.database, Keep(max_bytes=wanted)) == 400
        with c.store.database.reading() as connection:
            assert size(connection) <= wanted
        left = c.store.ids()
        assert (len(left), left[0], left[-1]) == (801, "3.0", "new")
        assert await c.lists(bulk(event("4.0"), event("3.0"))) == ({"3.0": "duplicate"}, {})


async def test_days_have_partitions_made_ahead_and_the_oldest_are_dropped(server: Server) -> None:
    async with collecting(server.fresh()) as c:
        today = datetime.now(UTC)

        def names() -> list[str]:
            with c.store.database.reading() as connection:
                return [partition.name for partition in partitions.listed(connection)]

        assert names() == [f"events_{today + n * DAY:%Y%m%d}" for n in range(partitions.AHEAD_DAYS + 1)]
        await c.lists(bulk(record("a"), record("b"), record("c")))
        await age(c, ["a"], today - 9 * DAY)
        await age(c, ["b"], today - 3 * DAY)
        assert maintain(c.store.database, Keep(max_age_seconds=5 * 86_400)) == 1
        assert c.store.ids() == ["b", "c"]
        assert f"events_{today - 9 * DAY:%Y%m%d}" not in names()
        assert maintain(c.store.database, Keep(max_bytes=1)) == 1  # never today's
        assert c.store.ids() == ["c"]


async def test_events_of_a_day_without_a_partition_are_kept_and_expire_all_the_same(server: Server) -> None:
    async with collecting(server.fresh()) as c:
        await c.lists(bulk(record("a"), record("b")))

        def change(connection: sa.Connection) -> None:
            old = microseconds(datetime.now(UTC) - 50 * DAY)
            connection.execute(sa.text("UPDATE events SET received_at = :at"), {"at": old})

        await c.store.write(change)
        assert c.store.count() == 2
        await c.lists(bulk(record("c")))
        assert maintain(c.store.database, Keep(max_age_seconds=5 * 86_400)) == 2
        assert c.store.ids() == ["c"]


@each
async def test_the_event_from_which_on_others_arrived_is_found_by_halving() -> None:
    async with collecting() as c:
        marks: list[int] = []
        for number in range(9):
            marks.append(time.time_ns() // 1000)
            await c.lists(bulk(event(f"a{number}"), event(f"b{number}")))
        with c.store.database.reading() as connection:
            ids = list(connection.execute(sa.text("SELECT id FROM events ORDER BY id")).scalars())
            found = [first_after(connection, 1, mark) for mark in marks]
            assert first_after(connection, 1, 0) <= ids[0]
            assert first_after(connection, 1, 1 << 60) == ids[-1] + 1
        previous = [0, *ids[1::2]]
        assert all(before < at <= own for before, at, own in zip(previous, found, ids[::2], strict=False))
