"""What agents tell over time, and searching events: the same on both databases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agent.collector.store import fleet
from agent.collector.store.search import Wanted, search
from tests.collector.calls import bulk, collecting, event

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.collector.calls import Caller

pytestmark = pytest.mark.usefixtures("each_database")
MINUTE = 60 * 1_000_000


def figures(sent: int, *, started: str = "1", lag_ms: int = 0, behind: int = 0) -> fleet.Figures:
    return fleet.Figures(started=started, sent=sent, dropped=0, lag_ms=lag_ms, behind_bytes=behind)


async def tell(caller: Caller, agent_id: str, at: int, now: fleet.Figures, before: fleet.Figures | None) -> None:
    org = await caller.store.org("default")

    def change(connection: sa.Connection) -> None:
        fleet.put(connection, org, agent_id, now=at, report=b"{}", figures=now, before=before)

    await caller.store.write(change)


async def history(caller: Caller, since: int, agent_id: str | None = None) -> list[tuple[int, int, int, int]]:
    org = await caller.store.org("default")
    points = await caller.store.read(
        lambda connection: fleet.history(connection, org, since=since, step=MINUTE, agent_id=agent_id)
    )
    return [((p.at - since) // MINUTE, p.sent, p.lag_ms, p.behind_bytes) for p in points]


def test_rates_of_all_agents_add_up_and_the_worst_lag_is_told() -> None:
    async def main() -> None:
        async with collecting() as caller:
            start = time.time_ns() // 1000
            for agent_id, lag in (("a", 5), ("b", 700)):
                before = None
                for minute in range(4):
                    now = figures(100 * minute, lag_ms=lag, behind=lag)
                    await tell(caller, agent_id, start + minute * MINUTE + 7, now, before)
                    before = now
            assert await history(caller, start) == [(0, 0, 700, 705), *((n, 200, 700, 705) for n in (1, 2, 3))]
            assert await history(caller, start, "a") == [(0, 0, 5, 5), *((n, 100, 5, 5) for n in (1, 2, 3))]

    anyio.run(main)


def test_a_restarted_agent_counts_from_nothing_and_no_rate_is_negative() -> None:
    async def main() -> None:
        async with collecting() as caller:
            start = time.time_ns() // 1000
            await tell(caller, "a", start, figures(1_000_000), None)
            await tell(caller, "a", start + MINUTE, figures(30, started="2"), figures(1_000_000))
            await tell(caller, "a", start + 2 * MINUTE, figures(20, started="2"), figures(30, started="2"))
            assert [sent for _minute, sent, *_rest in await history(caller, start)] == [0, 30, 0]

    anyio.run(main)


def test_samples_go_when_they_are_old() -> None:
    async def main() -> None:
        async with collecting() as caller:
            now = time.time_ns() // 1000
            old = now - fleet.SAMPLES_KEPT_MICROSECONDS - MINUTE
            await tell(caller, "a", old, figures(1), None)
            assert len(await history(caller, old)) == 1
            await tell(caller, "a", now, figures(2), figures(1))
            assert len(await history(caller, old)) == 1

    anyio.run(main)


async def found(caller: Caller, **options: Any) -> tuple[list[int], int | None]:
    """Return the numbers in the ids that were found, newest first, and where to go on."""
    limits = {name: options.pop(name) for name in ("accept", "limit", "most") if name in options}
    org = await caller.store.org("default")
    result = await caller.store.read(
        lambda connection: search(connection, org, Wanted(**options), **{"limit": 100, **limits})
    )
    ids = [int(hit.envelope.split(b'"')[3].removeprefix(b"e-")) for hit in result.hits]
    return ids, result.last


def test_events_are_found_by_what_is_asked_page_by_page() -> None:
    async def main() -> None:
        async with collecting() as caller:
            for first in (0, 10):
                events = [
                    event(f"e-{n}", event={"log_type": "api" if n % 2 else "logs", "hostname": f"h{n % 3}", "n": n})
                    for n in range(first, first + 10)
                ]
                assert (await caller.post(bulk(*events))).status_code == 201
            everything = list(reversed(range(20)))
            assert await found(caller) == (everything, None)
            assert (await found(caller, log_type="api"))[0] == [n for n in everything if n % 2]
            assert (await found(caller, hostname="h1", log_type="logs"))[0] == [n for n in everything if n % 6 == 4]
            assert (await found(caller, accept=lambda data: b'"n": 7}' in data))[0] == [7]
            pages, before = [], None
            while True:
                page, before = await found(caller, before=before, limit=7)
                pages.append(page)
                if before is None:
                    break
            assert pages == [everything[:7], everything[7:14], everything[14:]]

    anyio.run(main)


def test_a_search_that_finds_little_stops_and_says_where_to_go_on() -> None:
    async def main() -> None:
        async with collecting() as caller:
            assert (await caller.post(bulk(*(event(f"e-{n}") for n in range(5000))))).status_code == 201
            ids, before = await found(caller, accept=lambda _data: False, most=2000)
            assert ids == []
            assert before is not None
            assert (await found(caller, accept=lambda data: b'"e-3"' in data, before=before))[0] == [3]

    anyio.run(main)


def test_events_are_found_by_when_they_arrived() -> None:
    async def main() -> None:
        async with collecting() as caller:
            await caller.post(bulk(event("e-1")))
            between = time.time_ns() // 1000
            await caller.post(bulk(event("e-2")))
            assert (await found(caller, until=between))[0] == [1]
            assert (await found(caller, since=between))[0] == [2]
            assert (await found(caller, until=between - MINUTE))[0] == []

    anyio.run(main)
