"""What only PostgreSQL brings: several collectors on one database, and connections that end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from tests.collector.calls import PATH, bulk, collecting, event, process
from tests.collector.test_destinations import PATH as DESTINATIONS
from tests.collector.test_destinations import destination
from tests.collector.test_retention import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.postgresql import Server


def test_two_collectors_on_one_database_are_one(server: Server, tmp_path: Path) -> None:
    database = server.fresh()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        process(folders[0], database=database) as first,
        process(folders[1], database=database) as second,
    ):
        urls = [first.url(), second.url()]
        stored = 0
        for number in range(20):
            names = [f"{number}.{n}" for n in range(50)]
            # The same request to both, as an agent sends it that had no answer from the first.
            answers = [httpx.post(f"{url}{PATH}", content=bulk(*map(record, names)), timeout=60) for url in urls]
            assert [len(answer.json()["success_events"]) for answer in answers] == [0, 50]
            stored += 50
        found = [httpx.get(f"{url}/v1/audits", params={"limit": 500}, timeout=60).json() for url in urls]
        assert found[0] == found[1]
        assert len(found[0]["audits"]) == 500
        assert len(first.stored()) == len(set(first.stored())) == stored


def test_of_many_that_create_the_same_destination_at_two_collectors_one_does(server: Server, tmp_path: Path) -> None:
    database = server.fresh()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with process(folders[0], database=database) as first, process(folders[1], database=database) as second:
        urls = [first.url(), second.url()]
        answers: list[httpx.Response] = []

        def create(url: str, number: int) -> None:
            answers.append(httpx.post(f"{url}{DESTINATIONS}", json=destination(f"n{number % 3}"), timeout=60))

        threads = [threading.Thread(target=create, args=(urls[n % 2], n)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        made = {a.json()["metadata"]["id"] for a in answers if a.status_code == 201}
        assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 21
        assert {answer.json()["metadata"]["id"] for answer in answers} == made


@pytest.mark.anyio
async def test_connections_that_the_server_ends_are_made_anew_and_nothing_acknowledged_is_lost(server: Server) -> None:
    url = server.fresh()
    name = url.rsplit("/", 1)[1].split("?")[0]
    async with collecting(url) as c:
        acknowledged: list[str] = []
        statuses: set[int] = set()
        done = anyio.Event()

        async def send(client: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                names = [f"{client}.{number}.{n}" for n in range(20)]
                answer = await c.post(bulk(*map(event, names)))
                statuses.add(answer.status_code)
                if answer.status_code == 201:
                    acknowledged.extend(names)

        async with anyio.create_task_group() as group:
            for client in range(3):
                group.start_soon(send, client)
            for _ in range(5):
                before = len(acknowledged)
                with anyio.fail_after(60):
                    while len(acknowledged) < before + 200:  # noqa: ASYNC110 # what others do is waited for
                        await anyio.sleep(0.01)
                with server.connect() as connection:
                    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                    connection.execute(end, (name,))
            done.set()
        assert statuses <= {201, 503}
        assert (await c.http.get("/v1/audits")).status_code == 200
        stored = c.store.ids()
        assert len(stored) == len(set(stored))
        assert set(acknowledged) <= set(stored)
