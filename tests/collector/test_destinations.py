"""Audit destinations: created, read, replaced, deleted, listed by pages; each change leaves a record (WIRE 1, 2)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.collector.calls import Caller, collecting

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]

PATH = "/v1/audit_destinations"


def destination(name: str, **spec: Any) -> dict[str, Any]:
    """Return a body for a new one."""
    usual = {"enabled": True, "name": name, "org_id": "default", "destination_type": "webhook", "filters": []}
    return {"spec": {**usual, "location": "https://r.example.org/hook", "comment": "", **spec}}


async def made(c: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """Create one and return it."""
    answer = await c.http.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_destination_is_given_back_as_it_was_given_with_what_only_the_server_knows() -> None:
    async with collecting() as c:
        body = destination(
            "a", filters=[{"filter_type": "hostname", "value": "h", "new": 1}], future={"x": [None, 1.5]}
        )
        body |= {"more": {"deep": True}, "metadata": {"id": "mine", "updated": "2000-01-01T00:00:00Z", "label": "x"}}
        one = await made(c, body)
        assert one["spec"] == body["spec"]
        assert one["more"] == body["more"]
        assert one["metadata"]["label"] == "x"
        assert one["metadata"]["id"] != "mine"
        assert one["metadata"]["created"] == one["metadata"]["updated"] != "2000-01-01T00:00:00Z"
        assert (await c.http.get(f"{PATH}/{one['metadata']['id']}")).json() == one


async def test_a_name_that_is_taken_is_answered_with_the_one_that_has_it() -> None:
    async with collecting() as c:
        one = await made(c, destination("a"))
        answer = await c.http.post(PATH, json=destination("a", location="https://other.example.org"))
        assert (answer.status_code, answer.json()) == (409, one)
        other = await made(c, destination("b"))
        other["spec"]["name"] = "a"
        assert (await c.http.put(f"{PATH}/{other['metadata']['id']}", json=other)).status_code == 409


async def test_a_change_to_what_was_changed_meanwhile_is_refused_and_one_without_a_check_is_not() -> None:
    async with collecting() as c:
        one = await made(c, destination("a"))
        path = f"{PATH}/{one['metadata']['id']}"
        mine, theirs = copy.deepcopy(one), copy.deepcopy(one)
        theirs["spec"]["comment"] = "theirs"
        changed = (await c.http.put(path, json=theirs)).json()
        assert changed["metadata"]["updated"] > one["metadata"]["updated"]
        assert changed["metadata"]["created"] == one["metadata"]["created"]
        answer = await c.http.put(path, json=mine)
        assert answer.status_code == 409
        assert set(answer.json()) == {"error_code", "error_message"}
        mine["metadata"]["updated"] = changed["metadata"]["updated"].replace("Z", "+00:00")
        assert (await c.http.put(path, json=mine)).status_code == 200
        del mine["metadata"]
        assert (await c.http.put(path, json=mine)).json()["spec"] == mine["spec"]


async def test_what_is_not_there_is_not_found_and_replacing_does_not_create() -> None:
    async with collecting() as c:
        for name in ("none", "a b", "%00", "x" * 3000, "..%2f"):
            assert (await c.http.get(f"{PATH}/{name}")).status_code == 404
            assert (await c.http.put(f"{PATH}/{name}", json=destination("a"))).status_code == 404
            assert (await c.http.delete(f"{PATH}/{name}")).status_code == 404
        assert (await c.http.get(PATH)).json()["audit_destinations"] == []


async def test_a_deleted_one_is_gone_and_its_name_free() -> None:
    async with collecting() as c:
        one = await made(c, destination("a"))
        path = f"{PATH}/{one['metadata']['id']}"
        answer = await c.http.delete(path, params={"org_id": "default"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await c.http.delete(path)).status_code == 404
        assert (await made(c, destination("a")))["metadata"]["id"] != one["metadata"]["id"]


WRONG: list[Any] = [
    None,
    [],
    {},
    {"spec": None},
    {"spec": {}},
    destination(""),
    destination("x" * 129),
    destination("a\0b"),
    destination("a", enabled="yes"),
    destination("a", filters=None),
    destination("a", filters=[{}]),
    destination("a", filters=[{"filter_type": "x", "or_list": "y"}]),
    destination("a", max_events_per_transaction=0),
    destination("a", webhook_settings={}),
    destination("a", routing={}),
    {**destination("a"), "metadata": 7},
]


async def test_a_body_that_is_no_destination_is_refused_with_the_reason() -> None:
    async with collecting() as c:
        for body in WRONG:
            answer = await c.http.post(PATH, json=body)
            assert answer.status_code == 400, body
            assert answer.json()["error_message"]
        for text in (b"", b"no", b"[" * 100_000, b'{"spec":' + b'{"a":' * 5000, b"\xff"):
            assert (await c.http.post(PATH, content=text)).status_code == 400
        assert (await c.http.post(PATH, content=b" " * (2 << 20))).status_code == 413


async def test_a_destination_of_another_organisation_can_be_neither_made_nor_seen() -> None:
    async with collecting() as c:
        assert (await c.http.post(PATH, json=destination("a", org_id="other"))).status_code == 403
        one = await made(c, destination("a"))
        path = f"{PATH}/{one['metadata']['id']}"
        assert (await c.http.get(path, params={"org_id": "other"})).status_code == 404
        assert (await c.http.delete(path, params={"org_id": "other"})).status_code == 404
        assert (await c.http.get(PATH, params={"org_id": "other"})).json()["audit_destinations"] == []
        assert (await c.http.get(path)).status_code == 200


async def names(c: Caller, **parameters: Any) -> list[str]:
    """Return the names on a page."""
    answer = await c.http.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return [one["spec"]["name"] for one in answer.json()["audit_destinations"]]


async def test_a_list_is_filtered() -> None:
    async with collecting() as c:
        await made(c, destination("soc", comment="The Centre", routing={"external": True}))
        await made(c, destination("archive", destination_type="file", location="file:///var/a.log"))
        await made(c, destination("other", authentication={"authentication_type": "x", "password": "hidden-centre"}))
        assert await names(c, page_on="name") == ["archive", "other", "soc"]
        assert await names(c, name="soc") == ["soc"]
        assert await names(c, destination_type="file") == ["archive"]
        assert await names(c, external="true") == ["soc"]
        assert sorted(await names(c, external="False")) == ["archive", "other"]
        assert await names(c, search_params=["centre", "SOC"]) == ["soc"]
        assert await names(c, search_params=["centre", "archive"]) == []
        assert await names(c, search_params="hidden") == []


@pytest.mark.parametrize("page_on", [["id"], ["name"], ["org_id"], ["destination_type", "name"], ["updated"]])
@pytest.mark.parametrize("page_sort", [[], ["asc"], ["desc"]])
async def test_pages_go_through_all_of_a_list_once_and_back_again(page_on: list[str], page_sort: list[str]) -> None:
    async with collecting() as c:
        for number in range(7):
            await made(c, destination(f"n{number}", destination_type="file" if number % 2 else "webhook"))
        every = await names(c, page_on=page_on, page_sort=page_sort)
        for direction in ("forwards", "backwards"):
            key: dict[str, Any] = {}
            seen: list[list[str]] = []
            for _ in range(10):
                given = {"limit": 2, "page_on": page_on, "page_sort": page_sort, "search_direction": direction} | key
                body = (await c.http.get(PATH, params=given)).json()
                if "page_info" not in body:
                    break
                seen.append([one["spec"]["name"] for one in body["audit_destinations"]])
                key = {name: body["page_info"][name] for name in ("page_on", "page_at_key")}
            pages = seen if direction == "forwards" else reversed(seen)
            assert [name for page in pages for name in page] == every
        assert len(set(every)) == 7


async def test_the_previous_key_turns_around() -> None:
    async with collecting() as c:
        for number in range(4):
            await made(c, destination(f"n{number}"))
        first = (await c.http.get(PATH, params={"limit": 2, "page_on": "name"})).json()
        info = first["page_info"]
        key = {"page_on": info["page_on"], "limit": 2}
        second = (await c.http.get(PATH, params=key | {"page_at_key": info["page_at_key"]})).json()
        back = {"page_at_key": second["page_info"]["previous_key"], "search_direction": "backwards"}
        assert (await c.http.get(PATH, params=key | back)).json()["audit_destinations"] == first["audit_destinations"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"page_on": "location"},
        {"page_on": ["id", "id"]},
        {"page_on": "name", "page_at_key": "x"},
        {"page_on": ["updated", "id"], "page_at_key": ["x", "y"]},
    ],
)
async def test_a_bad_pagination_key_is_named_as_such(parameters: dict[str, Any]) -> None:
    async with collecting() as c:
        answer = await c.http.get(PATH, params=parameters)
        assert answer.status_code == 400
        if parameters["page_on"] != ["updated", "id"]:
            assert "pagination key" in answer.json()["error_message"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "x"},
        {"limit": "٣"},
        {"limit": "9" * 5000},
        {"limit": ["1", "2"]},
        {"external": "maybe"},
        {"page_sort": "up"},
        {"page_sort": ["asc"] * 3},
        {"search_direction": "sideways"},
        {"name": "a\0"},
        {"name": "x" * 2000},
        {"search_params": ["x"] * 101},
    ],
    ids=lambda p: repr(p)[:30],
)
async def test_a_wrong_parameter_is_refused_by_its_name(parameters: dict[str, Any]) -> None:
    async with collecting() as c:
        answer = await c.http.get(PATH, params=parameters)
        assert answer.status_code == 400
        assert next(iter(parameters)) in answer.json()["error_message"]


async def test_every_change_leaves_a_record_and_a_refused_one_does_not() -> None:
    async with collecting() as c:
        one = await made(c, destination("a"))
        path = f"{PATH}/{one['metadata']['id']}"
        await c.http.post(PATH, json=destination("a"))
        await c.http.put(path, json=destination("b"))
        await c.http.delete(path)
        await c.http.delete(path)
        found = (await c.http.get("/v1/audits", params={"target_id": one["metadata"]["id"]})).json()["audits"]
        assert [r["action"] for r in found] == ["DELETE", "UPDATE", "CREATE"]
        assert {r["target_resource_type"] for r in found} == {"AuditDestination"}
        assert [r["target_resource_name"] for r in found] == ["b", "b", "a"]
        assert {(r["org_id"], r["user_id"], r["source_ip"]) for r in found} == {("default", "local", "127.0.0.1")}
