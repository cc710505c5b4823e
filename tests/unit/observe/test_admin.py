"""The admin endpoint over real sockets."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.loopback import is_loopback_host
from agent.observe.admin import admin_app
from agent.serve import serving
from agent.stats import AgentStats, LaneStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


def working() -> AgentStats:
    lane = LaneStats(destination="soc", state="idle", read=3, accepted=3)
    return AgentStats(agent_id="a-1", version="1", started_at=time.time(), lanes={"soc": lane}, ready=True)


@asynccontextmanager
async def endpoint(
    look: Callable[[], AgentStats], *, listen: str = "127.0.0.1:0", loopback_only: bool = True
) -> AsyncIterator[httpx.AsyncClient]:
    app = admin_app(look, stalled_after=lambda: 300.0, loopback_only=loopback_only)
    async with serving(app, listen=listen, grace_seconds=1) as url:
        unix = url.startswith("unix:")
        transport = httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:")) if unix else httpx.AsyncHTTPTransport()
        base = "http://localhost" if unix else url
        async with httpx.AsyncClient(transport=transport, base_url=base, timeout=60) as client:
            yield client


async def test_an_agent_that_works_is_healthy_and_ready() -> None:
    async with endpoint(working) as client:
        for path in ("/healthz", "/readyz"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
        assert answer.json() == {"ready": True, "reasons": []}
        assert (await client.head("/readyz")).status_code == 200


async def test_an_agent_that_ships_nothing_is_alive_but_not_ready_and_says_why() -> None:
    stats = working()
    stats.lanes["soc"].state = "degraded"
    stats.lanes["soc"].last_error = "HTTP 403"
    async with endpoint(lambda: stats) as client:
        assert (await client.get("/healthz")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "reasons": ["soc: degraded: HTTP 403"]}
        stats.lanes["soc"].state = "idle"
        assert (await client.get("/readyz")).status_code == 200


async def test_metrics_and_stats_are_told_as_they_are_now() -> None:
    stats = working()
    async with endpoint(lambda: stats) as client:
        stats.lanes["soc"].accepted = 42
        answer = await client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        assert families["audit_agent_events_accepted"].samples[0].value == 42
        body = (await client.get("/stats")).json()
        assert body["connector_instance_id"] == "a-1"
        assert body["audit_stats"]["audit_totals"]["destination_stats"]["destination_summary_stats"]["total_sent"] == 42


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/metrics/x", 404), ("POST", "/stats", 405)]
)
async def test_anything_else_is_a_json_error(method: str, path: str, status: int) -> None:
    async with endpoint(working) as client:
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert answer.json().keys() == {"error_code", "error_message"}
        if status == 405:
            assert "GET" in answer.headers["allow"]


async def test_a_web_page_cannot_read_the_endpoint_through_a_name_of_its_own() -> None:
    async with endpoint(working) as client:
        for host in ("evil.example", "evil.example:9464", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil"):
            answer = await client.get("/stats", headers={"host": host})
            assert answer.status_code == 403, host
            assert answer.json()["error_code"] == "forbidden_host"
        for host in ("localhost", "localhost:9464", "127.0.0.1:9464", "127.1.2.3", "[::1]:9464", "[::1]", "LOCALHOST."):
            assert (await client.get("/stats", headers={"host": host})).status_code == 200, host


async def test_an_endpoint_for_others_takes_every_host_name() -> None:
    async with endpoint(working, loopback_only=False) as client:
        assert (await client.get("/healthz", headers={"host": "edge-07.example.net"})).status_code == 200


async def test_it_can_listen_on_a_unix_socket(tmp_path: Path) -> None:
    async with endpoint(working, listen=f"unix:{tmp_path}/admin.sock", loopback_only=False) as client:
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_loopback_is(host: str, expected: bool) -> None:
    assert is_loopback_host(host) is expected
