"""The database behind the collector: what takes too long, what waits too much, what is written at the same time."""

from __future__ import annotations

import threading

import anyio
import pytest
import sqlalchemy as sa

from agent.collector.store import BusyError
from agent.collector.store.database import Database
from agent.collector.store.store import READERS, WAITING
from tests.collector.calls import DATABASE, bulk, collecting, event

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"


def test_a_query_that_takes_too_long_is_ended_and_the_next_one_is_served() -> None:
    database = Database(DATABASE.get() or ":memory:", read_seconds=0.2)
    try:
        with pytest.raises(database.failures), database.reading() as connection:
            connection.execute(sa.text(ENDLESS))
        with database.reading() as connection:
            assert connection.execute(sa.text("SELECT 7")).scalar() == 7
    finally:
        database.close()


async def test_more_queries_than_may_wait_are_refused_and_events_are_stored_beside_them() -> None:
    async with collecting() as c:
        going = threading.Event()
        answers: list[object] = []

        async def ask() -> None:
            try:
                answers.append(await c.store.read(lambda _: going.wait(60)))
            except BusyError as error:
                answers.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(READERS + WAITING + 3):
                group.start_soon(ask)
            with anyio.fail_after(60):
                while len(answers) < 3:  # noqa: ASYNC110 # what others do is waited for
                    await anyio.sleep(0.01)
            refused = await c.http.get("/v1/audits")
            assert refused.status_code == 429
            assert int(refused.headers["Retry-After"]) >= 1
            if DATABASE.get():  # in memory there is one connection, which the queries hold
                assert await c.lists(bulk(event("a"))) == ({}, {})
            going.set()
        assert sum(isinstance(answer, BusyError) for answer in answers) == 3
        assert answers.count(True) == READERS + WAITING
        assert (await c.http.get("/v1/audits")).status_code == 200
