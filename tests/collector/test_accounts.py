"""Tokens and users of the database: what each may do, for which organisation, and until when."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agent.collector.access import accounts
from agent.collector.access.principal import Scope
from tests.collector.calls import PATH, Caller, bulk, collecting, event, process
from tests.collector.test_destinations import destination
from tests.support.processes import command

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]

DESTINATIONS = "/v1/audit_destinations"
STREAM = "5f6f2b1e0c3f4a559f1d2f6d7c0a9b11"


async def token(c: Caller, name: str, *scopes: Scope, org_id: str = "default", **more: Any) -> dict[str, str]:
    """Make a token; return the header that shows it."""
    org = await c.store.org(org_id)
    made = await c.store.write(lambda connection: accounts.add_token(connection, org, name, scopes, **more))
    return {"Authorization": f"Bearer {made}"}


NEEDS = [
    (Scope.EVENTS_WRITE, "POST", PATH, 201, bulk(event("a"))),
    (Scope.DESTINATIONS_READ, "GET", DESTINATIONS, 200, b""),
    (Scope.DESTINATIONS_READ, "GET", f"{DESTINATIONS}/x", 404, b""),
    (Scope.DESTINATIONS_WRITE, "POST", DESTINATIONS, 201, json.dumps(destination("d")).encode()),
    (Scope.DESTINATIONS_WRITE, "PUT", f"{DESTINATIONS}/x", 404, json.dumps(destination("d")).encode()),
    (Scope.DESTINATIONS_WRITE, "DELETE", f"{DESTINATIONS}/x", 404, b""),
    (Scope.AUDITS_READ, "GET", "/v1/audits", 200, b""),
    (Scope.AUDITS_READ, "GET", "/v1/auth_audits", 200, b""),
    (Scope.AUDITS_READ, "GET", f"/v1/streams/{STREAM}/ids", 200, b""),
    (Scope.AUDITS_READ, "GET", "/v1/agent_connectors/a/dynamic_stats", 404, b""),
    (Scope.EVENTS_WRITE, "POST", "/v1/agent_connectors/a/dynamic_stats", 400, b"{}"),
]


async def test_each_operation_needs_its_scope_and_no_other() -> None:
    async with collecting(tokens=("static",)) as c:
        for number, (needed, method, path, status, body) in enumerate(NEEDS):
            right = await token(c, f"right{number}", needed)
            others = await token(c, f"wrong{number}", *(scope for scope in Scope if scope != needed))
            answer = await c.http.request(method, path, content=body, headers=others)
            assert answer.status_code == 403, (method, path)
            assert needed in answer.json()["error_message"]
            answer = await c.http.request(method, path, content=body, headers=right)
            assert answer.status_code == status, (method, path, answer.text)


async def test_what_is_of_another_organisation_is_never_visible() -> None:
    async with collecting(tokens=("static",)) as c:
        one, two = [await token(c, org, *Scope, org_id=org) for org in ("one", "two")]
        record = event("r", event={"log_type": "api", "org_id": "two", "n": 1})
        events = bulk(event(f"{STREAM}.10"), record)
        assert (await c.post(events, headers=one)).json()["success_events"] == []
        assert (await c.post(events, headers=two)).json()["success_events"] == []  # the same ids, and no duplicates
        assert (await c.post(bulk(event(f"{STREAM}.20")), headers=one)).status_code == 201
        made = await c.http.post(DESTINATIONS, json=destination("a", org_id="one"), headers=one)
        assert (await c.http.post(DESTINATIONS, json=destination("a", org_id="two"), headers=two)).status_code == 201
        name = made.json()["metadata"]["id"]
        for method in ("GET", "PUT", "DELETE"):
            body = json.dumps(destination("a", org_id="two")).encode() if method == "PUT" else b""
            answer = await c.http.request(method, f"{DESTINATIONS}/{name}", content=body, headers=two)
            assert answer.status_code == 404
        for org_id in (None, "one", "two", "x"):
            given = {} if org_id is None else {"org_id": org_id}
            audits = (await c.http.get("/v1/audits", params=given, headers=two)).json()["audits"]
            assert all(audit.get("org_id") == "two" for audit in audits)
            listed = (await c.http.get(DESTINATIONS, params=given, headers=two)).json()["audit_destinations"]
            assert [d["spec"]["org_id"] for d in listed] == (["two"] if org_id in (None, "two") else [])
        offsets = (await c.http.get(f"/v1/streams/{STREAM}/ids", headers=two)).json()
        assert offsets == {"stream": STREAM, "count": 1, "offsets": [16], "more": False}
        assert (await c.http.get(f"/v1/streams/{STREAM}/ids", headers=one)).json()["offsets"] == [16, 32]


async def test_a_stream_is_listed_in_order_by_pages_and_foreign_ids_are_in_none() -> None:
    async with collecting() as c:
        numbers = [0, 9, 10, 255, 4096, 2**40]
        await c.lists(bulk(*(event(f"{STREAM}.{n:x}") for n in reversed(numbers)), event(f"{STREAM}.0f"), event("x")))
        seen: list[int] = []
        given: dict[str, int] = {"limit": 4}
        while True:
            page = (await c.http.get(f"/v1/streams/{STREAM}/ids", params=given)).json()
            seen += page["offsets"]
            assert page["count"] == len(page["offsets"])
            if not page["more"]:
                break
            given["after"] = seen[-1]
        assert seen == numbers
        assert (await c.http.get("/v1/streams/nonsense/ids")).status_code == 400


async def test_a_user_calls_by_name_and_password() -> None:
    async with collecting(tokens=("static",)) as c:
        org = await c.store.org("default")
        await c.store.write(
            lambda connection: accounts.add_user(connection, org, "änn", "pässword:1", [Scope.AUDITS_READ])
        )

        async def status(name: str, password: str) -> int:
            authentication = httpx.BasicAuth(name, password)
            return (await c.http.get("/v1/audits", auth=authentication)).status_code

        assert await status("änn", "pässword:1") == 200
        for name, password in (("änn", "pässword"), ("ann", "pässword:1"), ("änn", ""), ("", ""), ("änn\0", "x")):
            assert await status(name, password) == 401
        for header in ("Basic", "Basic !", "Basic YW5u", "Basic " + "A" * 10_000):
            assert (await c.http.get("/v1/audits", headers={"Authorization": header})).status_code == 401


async def test_a_token_is_good_until_it_expires_or_is_removed() -> None:
    async with collecting(tokens=("static",), remembered_seconds=0) as c:
        past = await token(c, "past", *Scope, expires=1)
        good = await token(c, "good", *Scope, expires=1 << 60)
        assert (await c.http.get("/v1/audits", headers=past)).status_code == 401
        assert (await c.http.get("/v1/audits", headers=good)).status_code == 200
        gone = await c.store.write(lambda connection: accounts.remove(connection, accounts.TOKEN, "good"))
        assert gone is not None
        assert (await c.http.get("/v1/audits", headers=good)).status_code == 401


async def test_secrets_are_in_the_database_as_hashes_only() -> None:
    async with collecting(tokens=("static",)) as c:
        header = await token(c, "a", *Scope)
        secret = header["Authorization"].rsplit("_", 1)[1]
        org = await c.store.org("default")
        await c.store.write(lambda connection: accounts.add_user(connection, org, "u", secret[:20], []))

        def rows(connection: Any) -> list[Any]:
            return [tuple(row) for row in connection.execute(accounts.ACCOUNTS.select())]

        stored = await c.store.read(rows)
        assert len({row[5] for row in stored}) == 2  # each has a salt of its own
        assert secret[:20].encode() not in b"".join(bytes(v) for row in stored for v in row if isinstance(v, bytes))
        assert secret[:20] not in repr(stored)


def test_tokens_and_users_are_added_listed_and_removed_from_the_command_line(tmp_path: Path) -> None:
    environment = os.environ | {"AUDIT_COLLECTOR_PASSWORD": "pw-4711"}
    with process(tmp_path, no_token=False) as collector:
        database = collector.address
        url = collector.url()
        assert "collector_without_callers" in collector.output()

        def run(*arguments: str) -> tuple[int, str]:
            done = command("collector", *arguments, "--database", database, env=environment)
            assert "Traceback" not in done.stderr
            return done.returncode, done.stdout

        code, made = run("token", "add", "edge", "--for", "agent", "--org-id", "o-1")
        assert code == 0
        headers = {"Authorization": f"Bearer {made.strip()}"}
        assert httpx.post(f"{url}{PATH}", content=bulk(event("a")), headers=headers).status_code == 201
        assert httpx.get(f"{url}/v1/audits", headers=headers).status_code == 403
        assert run("token", "add", "edge", "--for", "agent")[0] == 1
        assert run("token", "add", "x")[0] == 2
        assert run("user", "add", "ann", "--scope", "audits:read", "--org-id", "o-1")[0] == 0
        users = json.loads(run("user", "list", "--json")[1])
        assert (users["name"], users["org_id"], users["scopes"]) == ("ann", "o-1", ["audits:read"])
        told = httpx.get(f"{url}/v1/audits", auth=("ann", "pw-4711")).json()["audits"]
        assert [(r["action"], r["target_resource_type"], r["target_resource_name"]) for r in told] == [
            ("CREATE", "User", "ann"),
            ("CREATE", "Token", "edge"),
        ]
        assert run("token", "list")[1].startswith("edge  ")
        assert (run("token", "remove", "edge")[0], run("token", "remove", "edge")[0]) == (0, 1)
        assert run("token", "list") == (0, "")
        assert "pw-4711" not in collector.output()
        assert made.strip() not in collector.output()
