"""Who may look at the pages: nobody without a session, nobody at another organisation's events."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from agent.collector import Settings, running
from agent.collector.access import accounts
from agent.collector.access.principal import Scope
from agent.collector.app import collector_app
from agent.collector.store import Store
from tests.pages.looking import event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.collector import Handle

OPEN = {"/healthz", "/login"}
SECRET = "only-for-one"


async def token_of(handle: Handle, org_id: str, name: str, scopes: Iterable[Scope]) -> str:
    """Make a token of an organisation."""
    org = await handle.store.org(org_id)
    return await handle.store.write(lambda connection: accounts.add_token(connection, org, name, scopes))


def client(handle: Handle, token: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=handle.url, headers=headers, trust_env=False, timeout=60)


def test_no_route_answers_without_credentials_but_health_and_the_login() -> None:
    async def ask() -> None:
        async with running(settings=Settings(tokens=("known",))) as handle, client(handle) as nobody:
            app = collector_app(Store(":memory:"), Settings(tokens=("known",)))
            for route in app.routes:
                path = re.sub(r"\{[^}]*\}", "a", route.path)  # type: ignore[attr-defined]
                for method in sorted(route.methods):  # type: ignore[attr-defined]
                    answer = await nobody.request(method, path)
                    if path in OPEN:
                        continue
                    sent_away = answer.status_code == 303 and answer.headers["location"].startswith("/login")
                    assert answer.status_code in (401, 403) or sent_away, f"{method} {path}: {answer.status_code}"

    asyncio.run(ask())


def test_each_organisation_sees_its_own_events_and_agents_only() -> None:
    async def look() -> None:
        async with running(settings=Settings()) as handle:
            scopes = (Scope.EVENTS_WRITE, Scope.AUDITS_READ)
            for org in ("one", "two"):
                token = await token_of(handle, org, org, scopes)
                async with client(handle, token) as agent, client(handle) as browser:
                    text = SECRET if org == "one" else "plain"
                    body = {"events": [event(f"of-{org}", message=text, hostname=text)]}
                    assert (await agent.post("/v1/bulk_audit_events", json=body)).status_code == 201
                    refused = {"time": "2026-05-04T12:00:00Z", "destination": "soc", "unique_id": "a.0", "reason": text}
                    report = {
                        "connector_instance_id": f"agent-{org}",
                        "collection_time": "2026-05-04T12:00:00Z",
                        "agent_status": {
                            "hostname": text,
                            "destinations": [{"name": text, "rejected": {"drop_rejected": 1}}],
                            "rejects": [{**refused, "status": 400}],
                        },
                    }
                    answer = await agent.post(f"/v1/agent_connectors/agent-{org}/dynamic_stats", json=report)
                    assert answer.status_code == 204, answer.text
                    assert (await browser.post("/login", data={"token": token})).status_code == 303
                    pages = (
                        "/events",
                        f"/events?q={SECRET}",
                        "/events/new?after=0",
                        "/agents",
                        "/destinations",
                        "/rejects",
                    )
                    shown = "".join([(await browser.get(page)).text for page in pages])
                    assert (f"<bdi>{SECRET}</bdi>" in shown) == (org == "one")
                    other = [
                        f"/events/of-{'two' if org == 'one' else 'one'}",
                        "/agents/agent-one",
                        "/events/of-one/raw",
                    ]
                    codes = [(await browser.get(page)).status_code for page in other]
                    assert codes == ([404, 200, 200] if org == "one" else [404, 404, 404])

    asyncio.run(look())


@pytest.mark.parametrize("scope", [Scope.EVENTS_WRITE, Scope.DESTINATIONS_READ])
def test_a_token_that_may_not_read_does_not_log_in(scope: Scope) -> None:
    async def look() -> None:
        async with running(settings=Settings()) as handle, client(handle) as browser:
            token = await token_of(handle, "one", "agent", [scope])
            answer = await browser.post("/login", data={"token": token})
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)

    asyncio.run(look())


def test_a_session_ends_when_its_token_is_withdrawn() -> None:
    async def look() -> None:
        async with running(settings=Settings()) as handle, client(handle) as browser:
            token = await token_of(handle, "one", "person", [Scope.AUDITS_READ])
            assert (await browser.post("/login", data={"token": token})).status_code == 303
            assert (await browser.get("/events")).status_code == 200
            await handle.store.write(lambda connection: accounts.remove(connection, accounts.TOKEN, "person"))
            assert (await browser.get("/events")).headers["location"].startswith("/login")

    asyncio.run(look())


def test_destinations_kept_here_are_shown_without_secrets_to_those_who_may_read_them() -> None:
    async def look() -> None:
        async with running(settings=Settings()) as handle:
            shown: dict[str, str] = {}
            every = tuple(Scope)
            for org, scopes in (("one", every), ("two", every), ("three", (Scope.AUDITS_READ,))):
                token = await token_of(handle, org, org, scopes)
                async with client(handle, token) as api, client(handle) as browser:
                    spec = {
                        "org_id": org,
                        "comment": SECRET,
                        "name": f"kept-{org}",
                        "destination_type": "webhook",
                        "location": f"https://soc.example.net:8443/hook/{SECRET}?code={SECRET}",
                        "enabled": org == "one",
                        "filters": [{"filter_type": "subsystem", "value": "access"}],
                        "authentication": {"authentication_type": "http_bearer", "http_bearer": {"token": SECRET}},
                    }
                    if scopes == every:
                        answer = await api.post("/v1/audit_destinations", json={"spec": spec})
                        assert answer.status_code == 201, answer.text
                    assert (await browser.post("/login", data={"token": token})).status_code == 303
                    shown[org] = (await browser.get("/destinations")).text
            assert SECRET not in "".join(shown.values())
            assert [org for org, text in shown.items() if "kept-one" in text] == ["one"]
            assert "https://soc.example.net:8443<" in shown["one"]
            assert "no agent reports it" in shown["one"]
            assert "disabled" in shown["two"]
            assert "destinations:read" in shown["three"]

    asyncio.run(look())
