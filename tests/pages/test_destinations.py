"""The page of destinations: what the collector keeps, joined by name with what agents report of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent.collector import Settings, running
from agent.collector.access import accounts
from agent.collector.access.principal import Scope
from agent.collector.pages.kept import MOST
from tests.collector.calls import DATABASE
from tests.pages.looking import lane

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from agent.collector import Handle

SECRET = "hush-hush"
NONE = "\u2013"
pytestmark = pytest.mark.usefixtures("each_database")


@asynccontextmanager
async def collector() -> AsyncIterator[Handle]:
    async with running(database=DATABASE.get() or ":memory:", settings=Settings()) as handle:
        yield handle


@asynccontextmanager
async def client(handle: Handle, org_id: str, scopes: Iterable[Scope]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a new token of an organisation, logged in with it, too."""
    org = await handle.store.org(org_id)
    name = f"{org_id}-{len(list(scopes))}"
    token = await handle.store.write(lambda connection: accounts.add_token(connection, org, name, scopes))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=handle.url, headers=headers, trust_env=False, timeout=60) as http:
        if Scope.AUDITS_READ in scopes:
            assert (await http.post("/login", data={"token": token})).status_code == 303
        yield http


async def keep(http: httpx.AsyncClient, org_id: str, name: str, **spec: Any) -> None:
    given = {
        "org_id": org_id,
        "name": name,
        "comment": SECRET,
        "destination_type": "webhook",
        "location": f"https://soc.example.net:8443/{SECRET}?code={SECRET}#{SECRET}",
        "enabled": True,
        "filters": [],
        **spec,
    }
    answer = await http.post("/v1/audit_destinations", json={"spec": given})
    assert answer.status_code == 201, answer.text


async def report(http: httpx.AsyncClient, agent_id: str, *lanes: dict[str, Any]) -> None:
    body = {
        "connector_instance_id": agent_id,
        "collection_time": "2026-05-04T12:00:00Z",
        "agent_status": {"hostname": agent_id, "destinations": lanes},
    }
    answer = await http.post(f"/v1/agent_connectors/{agent_id}/dynamic_stats", json=body)
    assert answer.status_code == 204, answer.text


def rows(page: str) -> dict[str, list[str]]:
    """Return the text of the cells of what is kept, by name."""
    table = page.partition('id="kept"')[2].partition("</table>")[0]
    found = {}
    for row in re.findall(r"<tr data-row>(.*?)</tr>", table, re.DOTALL):
        cells = [
            " ".join(re.sub(r"<[^>]*>", " ", cell).split())
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        found[cells[0].split()[0]] = cells
    return found


def local(page: str) -> list[str]:
    """Return the names of the destinations that are called local."""
    return re.findall(r'<h3><bdi>([^<]*)</bdi> <span class="badge">local</span>', page)


def test_a_kept_destination_is_joined_by_name_with_what_agents_report_and_the_others_are_called_local() -> None:
    async def look() -> None:
        async with collector() as handle, client(handle, "one", tuple(Scope)) as http:
            await keep(http, "one", "soc", filters=[{"filter_type": "subsystem", "value": "access"}])
            await keep(http, "one", "idle-one")
            await keep(http, "one", "off", enabled=False)
            await report(http, "edge-1", lane(state="backing_off", last_error="connection refused", lag_seconds=700))
            former = f"https://user:{SECRET}@former.example.net/{SECRET}?key={SECRET}"
            await report(http, "edge-2", lane(location=former), lane(name="mine", location="file:///var/log/mine.log"))
            page = (await http.get("/destinations")).text
            found = rows(page)
            assert list(found) == ["idle-one", "off", "soc"]
            assert found["soc"][0] == "soc webhook https://soc.example.net:8443"
            assert found["soc"][1:3] == ["yes", "1"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["soc"][3])
            assert found["soc"][4:] == ["1 trouble 1 ok connection refused", "11 min 40 s", "2"]
            assert found["idle-one"][4:] == ["no agent reports it", NONE, "0"]
            assert found["off"][1:3] + found["off"][4:] == ["disabled", "0", NONE, NONE, "0"]
            assert local(page) == ["mine"]
            assert "https://former.example.net<" in page
            assert "file:///var/log/mine.log" in page
            assert SECRET not in page
            assert SECRET not in (await http.get("/agents/edge-2")).text

    asyncio.run(look())


def test_without_the_scope_what_agents_report_is_shown_and_one_line_says_which_scope_is_missing() -> None:
    async def look() -> None:
        async with collector() as handle, client(handle, "one", tuple(Scope)) as http:
            await keep(http, "one", "kept-only")
            await report(http, "edge-1", lane(name="reported"))
            async with client(handle, "one", (Scope.AUDITS_READ,)) as viewer:
                page = (await viewer.get("/destinations")).text
            assert page.count("destinations:read") == 1
            assert "kept-only" not in page
            assert rows(page) == {}
            assert "<h3><bdi>reported</bdi>" in page
            assert local(page) == []  # who may not see what is kept cannot be told what is not

    asyncio.run(look())


def test_another_organisation_sees_neither_what_is_kept_nor_what_is_reported() -> None:
    async def look() -> None:
        async with collector() as handle, client(handle, "one", tuple(Scope)) as http:
            await keep(http, "one", "of-one")
            await report(http, "edge-1", lane(name="reported-to-one"))
            async with client(handle, "two", tuple(Scope)) as other:
                await keep(other, "two", "reported-to-one")
                page = (await other.get("/destinations")).text
            assert "of-one" not in page
            assert rows(page)["reported-to-one"][4] == "no agent reports it"
            assert "No agent has reported a destination yet." in page

    asyncio.run(look())


def test_where_the_list_is_cut_nothing_is_called_local() -> None:
    async def look() -> None:
        async with collector() as handle, client(handle, "one", tuple(Scope)) as http:
            for number in range(MOST):
                await keep(http, "one", f"d{number:04}")
            await keep(http, "one", "zulu")
            await report(http, "edge-1", lane(name="zulu"))
            page = (await http.get("/destinations")).text
            assert len(rows(page)) == MOST
            assert f"The first {MOST} by name" in page
            assert local(page) == []

    asyncio.run(look())
