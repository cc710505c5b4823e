"""``list_audits`` and ``list_auth_records`` over what was ingested (WIRE 1.2 to 1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.collector.calls import Caller, bulk, collecting, event

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("each_database")]


def change(number: int, **members: Any) -> dict[str, Any]:
    """Return an event of the subsystem ``api``."""
    usual = {"log_type": "api", "time": f"2026-05-04T12:00:{number:02d}Z", "user_id": f"u{number % 3}"}
    return event(f"c{number}", event={**usual, "action": "CREATE", "n": number, **members})


def login(number: int, **members: Any) -> dict[str, Any]:
    """Return an event of the subsystem ``authentication``."""
    usual = {"log_type": "authentication", "time": f"2026-05-04T12:00:{number:02d}.5Z", "result": "Success"}
    return event(f"l{number}", event={**usual, "n": number, **members})


async def numbers(c: Caller, path: str = "/v1/audits", **parameters: Any) -> list[int]:
    """Return which records are on a page."""
    answer = await c.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [record["n"] for record in body["audits" if path == "/v1/audits" else "auth_audits"]]


async def test_records_are_those_of_their_subsystem_newest_first_each_once() -> None:
    async with collecting() as c:
        await c.lists(bulk(change(1), login(5), change(3), event("x", event={"log_type": "access"}), change(2)))
        await c.lists(bulk(change(2), login(6), login(5)))
        assert await numbers(c) == [3, 2, 1]
        assert await numbers(c, "/v1/auth_audits") == [6, 5]
        assert await numbers(c, limit=2, page_sort="asc") == [1, 2]


async def test_members_are_those_of_the_models_and_unknown_ones_are_kept() -> None:
    async with collecting() as c:
        attribute = {"attribute_id": "i", "attribute_org_id": None, "more": [1]}
        odd = {"user_id": 7, "session": None, "target_resource_name": None, "parent_id": {"a": 1}, "extra": {"x": None}}
        attributes = {"audit_attributes": [attribute, "no", {"attribute_type": 1}]}
        await c.lists(bulk(change(1, time="no time", **odd, **attributes), change(2, audit_attributes="none")))
        second, first = (await c.http.get("/v1/audits", params={"page_on": "id"})).json()["audits"][::-1]
        assert first["user_id"] == "7"
        assert "session" not in first
        assert first["target_resource_name"] is None
        assert first["parent_id"] == '{"a":1}'
        assert first["extra"] == {"x": None}
        assert first["time"] == "2026-05-04T12:00:01.250000000Z"
        assert first["audit_attributes"] == [attribute, {"attribute_type": "1"}]
        assert "audit_attributes" not in second


AUDIT_FILTERS = ["user_id", "action", "target_id", "token_id", "api_name", "target_resource_type"]
AUTH_FILTERS = [
    *("user_id", "session_id", "trace_id", "upstream_user_id", "upstream_idp", "login_org_id", "source_ip"),
    *("client_id", "event", "stage", "request_id", "result", "event_name"),
]


@pytest.mark.parametrize(
    ("path", "make", "name"),
    [*(("/v1/audits", change, n) for n in AUDIT_FILTERS), *(("/v1/auth_audits", login, n) for n in AUTH_FILTERS)],
)
async def test_every_filter_finds_what_it_names_and_nothing_else(path: str, make: Any, name: str) -> None:
    member = "session" if name == "session_id" else name
    async with collecting() as c:
        await c.lists(bulk(make(1, **{member: "wänted\0%"}), make(2, **{member: "wänted"}), make(3, **{member: ""})))
        assert await numbers(c, path, **{name: "wänted"}) == [2]
        assert await numbers(c, path, **{name: "wänt%"}) == []
        assert len(await numbers(c, path, **{name: ""})) == 3


async def test_attributes_are_found_by_one_attribute_that_has_all_of_it() -> None:
    def having(number: int, *attributes: tuple[str, str, str]) -> dict[str, Any]:
        keys = ("attribute_type", "attribute_id", "attribute_org_id")
        return change(number, audit_attributes=[dict(zip(keys, one, strict=True)) for one in attributes])

    async with collecting() as c:
        await c.lists(bulk(having(1, ("app", "a", "o"), ("user", "b", "p")), having(2, ("app", "b", "o")), change(3)))
        assert await numbers(c, attribute_type="app") == [2, 1]
        assert await numbers(c, attribute_type="app", attribute_id="b") == [2]
        assert await numbers(c, attribute_org_id="p") == [1]
        assert await numbers(c, attribute_id_list=["a", "x"]) == [1]
        assert await numbers(c, attribute_type_list=["user", "x"], attribute_id_list=["b"]) == [1]
        assert await numbers(c, attribute_type_list=["app", "user"]) == [2, 1]


async def test_records_behind_a_connector_came_through_it_or_name_it() -> None:
    naming = [{"attribute_type": "agent_connector", "attribute_id": "c1"}]
    other = [{"attribute_type": "user", "attribute_id": "c1"}]
    async with collecting() as c:
        await c.lists(
            bulk(change(1, source_id="c1"), change(2, audit_attributes=naming), change(3, audit_attributes=other))
        )
        assert await numbers(c, resources_behind_connector_id="c1") == [2, 1]


@pytest.mark.parametrize(
    ("dt_from", "dt_to", "found"),
    [
        ("2026-05-04T12:00:02Z", "2026-05-04T12:00:03Z", [2]),
        ("2026-05-04t14:00:02+02:00", "", [3, 2]),
        ("", "2026-05-04T12:00:02Z", [1]),
        ("2026-05-05", "", []),
        ("6 months ago - 1 day", "", None),
        ("now-100y", "now + 100 years", [3, 2, 1]),
    ],
)
async def test_times_are_bounded_from_and_before(dt_from: str, dt_to: str, found: list[int] | None) -> None:
    async with collecting() as c:
        await c.lists(bulk(change(1), change(2), change(3)))
        if found is None:
            answer = await c.http.get("/v1/audits", params={"dt_from": dt_from})
            assert answer.status_code == 400
            assert "dt_from" in answer.json()["error_message"]
        else:
            assert await numbers(c, dt_from=dt_from, dt_to=dt_to) == found


@pytest.mark.parametrize("path", ["/v1/audits", "/v1/auth_audits"])
@pytest.mark.parametrize("page_on", [[], ["time"], ["user_id"], ["user_id", "time"], ["id"]])
@pytest.mark.parametrize("page_sort", [[], ["asc"], ["desc", "asc"]])
async def test_pages_go_through_all_records_once_each(path: str, page_on: list[str], page_sort: list[str]) -> None:
    make = change if path == "/v1/audits" else login
    async with collecting() as c:
        same = [make(n, time="2026-05-04T12:00:00Z", user_id=f"u{n % 2}") for n in range(5)]
        await c.lists(bulk(*same, *(make(n, user_id=f"u{n % 3}") for n in range(5, 9))))
        if page_sort == ["desc", "asc"] and len(page_on) == 1 and page_on != ["id"]:
            page_sort = page_sort[:2]
        elif page_sort == ["desc", "asc"]:
            page_sort = page_sort[: max(1, len(page_on))]
        every = await numbers(c, path, page_on=page_on, page_sort=page_sort)
        assert sorted(every) == list(range(9))
        for direction in ("forwards", "backwards"):
            key: dict[str, Any] = {"page_on": page_on}
            seen: list[list[int]] = []
            for _ in range(10):
                given = {"limit": 2, "page_sort": page_sort, "search_direction": direction} | key
                body = (await c.http.get(path, params=given)).json()
                if "page_info" not in body:
                    break
                seen.append([record["n"] for record in body[path.removeprefix("/v1/")]])
                key = {name: body["page_info"][name] for name in ("page_on", "page_at_key")}
            pages = seen if direction == "forwards" else reversed(seen)
            assert [n for page in pages for n in page] == every


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('action == "CREATE"', [3, 2, 1]),
        ('user_id == "u1" && record.n < 4', [1]),
        ('user_id in ["u0", "u2"]', [3, 2]),
        ('audit_attributes.exists(a, a.attribute_id == "i")', [2]),
        ("record.extra.deep == 1", [3]),
        ('trace_id == ""', [3, 2, 1]),
        ('user_id.matches("^u[01]$")', [3, 1]),
        ('time > "2026-05-04T12:00:02"', [3, 2]),
        ("false", []),
    ],
)
async def test_an_expression_chooses_records(expression: str, found: list[int]) -> None:
    async with collecting() as c:
        attributes = [{"attribute_id": "i", "attribute_type": "t"}]
        await c.lists(bulk(change(1), change(2, audit_attributes=attributes), change(3, extra={"deep": 1})))
        assert await numbers(c, cel_expression=expression) == found


@pytest.mark.parametrize(
    "expression",
    [
        "action ==",
        "1",
        "action",
        "nobody == 1",
        "user_id > 1",
        "nosuchfunction(user_id)",
        "(" * 500,
        "x" * 1025,
        "[1].all(a, [1].all(b, [1].all(c, true)))",
    ],
    ids=lambda text: text[:20],
)
async def test_a_bad_expression_is_refused(expression: str) -> None:
    async with collecting() as c:
        await c.lists(bulk(change(1)))
        for path in ("/v1/audits", "/v1/auth_audits"):
            answer = await c.http.get(path, params={"cel_expression": expression})
            assert answer.status_code == 400, answer.text
            assert "cel_expression" in answer.json()["error_message"]


async def test_pages_of_an_expression_go_on_after_what_was_looked_at() -> None:
    async with collecting() as c:
        await c.lists(bulk(*(change(n) for n in range(20))))
        seen: list[int] = []
        key: dict[str, Any] = {}
        for _ in range(20):
            given = {"limit": 2, "cel_expression": 'user_id == "u1"', **key}
            body = (await c.http.get("/v1/audits", params=given)).json()
            if "page_info" not in body:
                break
            seen += [record["n"] for record in body["audits"]]
            key = {name: body["page_info"][name] for name in ("page_on", "page_at_key")}
        assert seen == [19, 16, 13, 10, 7, 4, 1]


@pytest.mark.parametrize(
    "members",
    [
        {"user_id": "x" * 100_000},
        {"time": "2026-12-31T23:59:60Z"},
        {"time": "0001-01-01T00:00:00Z"},
        {"time": "9999-12-31T23:59:59-12:00"},
        {"time": 7},
        {"audit_attributes": [{"attribute_id": "i"}] * 1000},
        {"audit_attributes": {"a": 1}},
        {"action": "\0\0"},
        {"action": ["a", {"b": None}]},
        {"user_id": 1e300},
        {"event": "\u202e", "target_id": "<script>"},
    ],
    ids=lambda m: repr(m)[:40],
)
async def test_an_odd_record_is_stored_and_shown(members: dict[str, Any]) -> None:
    async with collecting() as c:
        assert await c.lists(bulk(change(1, **members), login(2, **members))) == ({}, {})
        assert await numbers(c) == [1]
        assert await numbers(c, "/v1/auth_audits") == [2]


async def test_a_record_nested_deeply_is_shown_without_its_members() -> None:
    async with collecting() as c:
        for depth in (500, 900, 980):
            inside = '{"log_type":"api","x":' + "[" * depth + "]" * depth + "}"
            one = f'{{"unique_id":"d{depth}","create_time":"2026-05-04T12:00:00Z","event":{inside}}}'
            assert (await c.post(f'{{"events":[{one}]}}')).status_code == 201
        answer = await c.http.get("/v1/audits")
        assert answer.status_code == 200
        assert len(answer.json()["audits"]) == len(c.store.ids())


async def test_records_that_name_another_organisation_are_found_by_it_among_ones_own() -> None:
    async with collecting() as c:
        await c.lists(bulk(change(1, org_id="sub"), change(2, org_id="default"), change(3)))
        assert await numbers(c, org_id="sub") == [1]
        assert await numbers(c, org_id="default") == [3, 2, 1]
