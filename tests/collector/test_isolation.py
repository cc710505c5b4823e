"""Every route that answers, asked by a caller of one organisation for what is of another: by all names and filters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from agent.collector import Settings
from agent.collector.access.principal import Scope
from agent.collector.app import collector_app
from agent.collector.store import Store
from tests.collector.calls import bulk, collecting, event
from tests.collector.test_accounts import DESTINATIONS, token
from tests.collector.test_destinations import destination

if TYPE_CHECKING:
    from tests.collector.calls import Caller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]

MARK = "of-two-only"
PART = "two-only"
"""What a search says: an answer may repeat its question, and would then not bear the whole mark."""
STREAM = "5f6f2b1e0c3f4a559f1d2f6d7c0a9b11"
INSIDE_ANSWERS = {
    "/v1/audits",
    "/v1/auth_audits",
    "/v1/audit_destinations",
    "/v1/audit_destinations/{}",
    "/v1/agent_connectors/{}/dynamic_stats",
    "/events",
    "/events/new",
    "/events/{}",
    "/events/{}/raw",
    "/agents",
    "/agents/{}",
    "/destinations",
    "/rejects",
}
"""Where the other organisation itself must see its mark; a list of its offsets has no room for one."""


async def _fill(c: Caller, header: dict[str, str]) -> list[str]:
    """Put the mark everywhere as organisation two; return every id that a path may name."""
    kinds = ("access", "api", "authentication")
    events = [
        event(f"{STREAM}.{n:x}", event={"log_type": kind, "message": MARK, "user_id": MARK, "session": MARK})
        for n, kind in enumerate(kinds)
    ]
    assert (await c.post(bulk(*events), headers=header)).status_code == 201
    made = await c.http.post(DESTINATIONS, json=destination(MARK, org_id="two", comment=MARK), headers=header)
    assert made.status_code == 201, made.text
    report = {
        "connector_instance_id": "agent-two",
        "collection_time": "2026-05-04T12:00:00Z",
        "audit_stats": {
            "audit_totals": {},
            "audit_destination_stats": [{"audit_destination_id": MARK, "audit_stats": {}}],
        },
        "agent_status": {
            "hostname": MARK,
            "destinations": [{"name": MARK, "rejected": {"drop_rejected": 1}}],
            "rejects": [
                {"time": "2026-05-04T12:00:00Z", "destination": MARK, "unique_id": "a.0", "reason": MARK, "status": 400}
            ],
        },
    }
    told = await c.http.post("/v1/agent_connectors/agent-two/dynamic_stats", json=report, headers=header)
    assert told.status_code == 204, told.text
    return [made.json()["metadata"]["id"], "agent-two", STREAM, *(one["unique_id"] for one in events)]


async def test_no_route_shows_another_organisations_things_whatever_it_is_asked() -> None:
    paths = {
        re.sub(r"\{[^}]*\}", "{}", route.path)  # type: ignore[attr-defined]
        for route in collector_app(Store(":memory:"), Settings()).routes
        if "GET" in route.methods  # type: ignore[attr-defined]
    }
    async with collecting(tokens=("static",)) as c:
        one, two = [await token(c, org, *Scope, org_id=org) for org in ("one", "two")]
        ids = await _fill(c, two)
        questions = ["", "org_id=two", "org_id=", "dt_from=", "after=0", f"q={PART}", f"search_params={PART}"]
        questions += ["cel_expression=user_id.endsWith('-only')", "user_id=*"]
        seen: dict[str, set[str]] = {"one": set(), "two": set()}
        for org, header in (("one", one), ("two", two)):
            async with httpx.AsyncClient(base_url=c.url, trust_env=False, timeout=60) as browser:
                secret = header["Authorization"].removeprefix("Bearer ")
                assert (await browser.post("/login", data={"token": secret})).status_code == 303
                for path in sorted(paths):
                    for name in ids if "{}" in path else [""]:
                        for question in questions:
                            url = path.replace("{}", name) + (f"?{question}" if question else "")
                            answer = await browser.get(url, headers=header)
                            assert answer.status_code < 500, url
                            if MARK in answer.text:
                                seen[org].add(path)
        assert seen["one"] == set()
        assert INSIDE_ANSWERS - seen["two"] == set()


async def test_no_route_changes_another_organisations_things() -> None:
    async with collecting(tokens=("static",)) as c:
        one, two = [await token(c, org, *Scope, org_id=org) for org in ("one", "two")]
        number = (await _fill(c, two))[0]
        before = (await c.http.get(f"{DESTINATIONS}/{number}", headers=two)).json()
        body = json.dumps(destination(MARK, org_id="two", comment="changed"))
        for method, content in (("PUT", body), ("DELETE", "")):
            answer = await c.http.request(method, f"{DESTINATIONS}/{number}?org_id=two", content=content, headers=one)
            assert answer.status_code in (403, 404), answer.text
        assert (await c.http.get(f"{DESTINATIONS}/{number}", headers=two)).json() == before
        answer = await c.http.post(DESTINATIONS, content=body, headers=one)
        assert answer.status_code in (400, 403), answer.text
        assert len((await c.http.get(DESTINATIONS, headers=two)).json()["audit_destinations"]) == 1
