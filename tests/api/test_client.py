"""The operations of the Audits API against a server on a real socket (WIRE 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agent.api.client import Client
from agent.api.errors import ApiError, ConflictError, NotFoundError
from agent.api.queries import AuditQuery, AuthAuditQuery, DestinationQuery, Paging
from agent.api.session import Patience, Session
from agent.config.model import AgilicusBearer, Authentication, ControlPlaneConfig
from agent.config.secrets import Secret
from agent.errors import UsageError
from tests.support.audits_api import TOKEN, AuditsApi, spec
from tests.support.receiver import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from agent.api.paging import Page

pytestmark = pytest.mark.anyio

AS_ME = Authentication(authentication_type="agilicus_bearer", agilicus_bearer=AgilicusBearer(token=Secret(TOKEN)))


@pytest.fixture
def api() -> Iterator[AuditsApi]:
    with AuditsApi() as running:
        yield running


class Sleeper:
    """Time that takes none."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def client(api: AuditsApi, *, sleep: Sleeper | None = None, **config: Any) -> Client:
    settings = ControlPlaneConfig(**({"url": api.url, "authentication": AS_ME} | config))
    return Client(Session(settings, sleep=sleep or Sleeper(), patience=Patience(attempts=3)))


async def all_rows(pages: AsyncIterator[Page]) -> list[dict[str, Any]]:
    return [row async for page in pages for row in page.rows]


async def test_a_destination_is_made_read_changed_and_removed(api: AuditsApi) -> None:
    async with client(api) as own:
        made = await own.create_destination({"spec": spec("soc")})
        assert not made.existed
        number = made.document["metadata"]["id"]
        assert await own.get_destination(number, org_id="o-1") == made.document
        changed = await own.change_destination(number, lambda d: {**d, "spec": {**d["spec"], "comment": "hi"}})
        assert changed["spec"]["comment"] == "hi"
        await own.delete_destination(number, org_id="o-1")
        with pytest.raises(NotFoundError, match="NOT_FOUND: no such destination"):
            await own.get_destination(number)
        with pytest.raises(NotFoundError):
            await own.delete_destination(number)
    assert api.queries[1][1] == {"org_id": ["o-1"]}


async def test_a_name_that_is_taken_gives_the_destination_that_has_it(api: AuditsApi) -> None:
    there = api.put("soc", comment="first")
    async with client(api) as own:
        made = await own.create_destination({"spec": spec("soc", comment="second")})
    assert made.existed
    assert made.document == there


async def test_a_conflict_whose_body_is_no_destination_is_resolved_by_name(api: AuditsApi) -> None:
    api.put("other")
    there = api.put("soc")
    api.receiver.script(Reply(409, {"error_code": "CONFLICT"}))
    async with client(api) as own:
        assert (await own.create_destination({"spec": spec("soc")})).document == there
    assert api.queries[-1][1]["name"] == ["soc"]


async def test_a_destination_whose_making_went_unanswered_counts_as_made(api: AuditsApi) -> None:
    answer = api.receiver.answer

    def lost(request: Any) -> Reply:
        api.receiver.answer = answer
        answer(request)
        return Reply(drop=True)

    api.receiver.answer = lost
    async with client(api) as own:
        made = await own.create_destination({"spec": spec("soc")})
    assert not made.existed
    assert len(api.destinations) == 1


async def test_a_removal_that_went_unanswered_counts_as_done(api: AuditsApi) -> None:
    number = api.put("soc")["metadata"]["id"]
    answer = api.receiver.answer

    def lost(request: Any) -> Reply:
        api.receiver.answer = answer
        answer(request)
        return Reply(drop=True)

    api.receiver.answer = lost
    async with client(api) as own:
        await own.delete_destination(number)
    assert api.destinations == {}


async def test_members_nobody_knows_survive_a_change(api: AuditsApi) -> None:
    there = api.put("soc", future={"deep": [1, {"x": None}]})
    number = there["metadata"]["id"]
    async with client(api) as own:
        await own.change_destination(number, lambda d: {**d, "spec": {**d["spec"], "comment": "hi"}})
    kept = api.destinations[number]
    assert kept["spec"] == {**there["spec"], "comment": "hi"}
    assert kept["x_new"] == {"a": [1]}


async def test_a_change_that_meets_another_is_made_again_on_a_fresh_read(api: AuditsApi) -> None:
    number = api.put("soc")["metadata"]["id"]
    interfering = iter(["one", "two"])

    def change(document: dict[str, Any]) -> dict[str, Any]:
        if (other := next(interfering, None)) is not None:
            api.put("soc", comment=other)  # somebody else, between our read and our write
        return {**document, "spec": {**document["spec"], "enabled": False}}

    async with client(api) as own:
        changed = await own.change_destination(number, change)
    assert changed["spec"]["comment"] == "two"
    assert changed["spec"]["enabled"] is False


async def test_a_change_gives_up_after_three_conflicts_in_a_row(api: AuditsApi) -> None:
    number = api.put("soc")["metadata"]["id"]
    reads = 0

    def change(document: dict[str, Any]) -> dict[str, Any]:
        nonlocal reads
        reads += 1
        api.put("soc", comment=f"other {reads}")
        return {**document, "spec": {**document["spec"], "enabled": False}}

    async with client(api) as own:
        with pytest.raises(ConflictError, match="changed meanwhile"):
            await own.change_destination(number, change)
    assert reads == 4


async def test_a_change_that_changes_nothing_writes_nothing(api: AuditsApi) -> None:
    number = api.put("soc")["metadata"]["id"]
    async with client(api) as own:
        await own.change_destination(number, lambda d: d)
    assert [r.method for r in api.receiver.requests] == ["GET"]


async def test_an_id_cannot_lead_out_of_its_path(api: AuditsApi) -> None:
    async with client(api) as own:
        with pytest.raises(NotFoundError):
            await own.get_destination("../audits?x=1#y")
    assert api.receiver.requests[0].target == "/base/v1/audit_destinations/..%2Faudits%3Fx%3D1%23y"


async def test_the_servers_keys_go_back_as_they_came_page_by_page(api: AuditsApi) -> None:
    for n in range(7):
        api.put(f"d{n}")
    async with client(api) as own:
        query = DestinationQuery(org_id="o-1", external=False, search_params=("a", "B"))
        found = await all_rows(own.destinations(query, Paging(limit=3, page_on=("name",), page_sort=("desc",))))
    assert found == list(api.destinations.values())
    first, second, third, last = [query for _, query in api.queries]
    assert first == {
        "org_id": ["o-1"],
        "external": ["false"],
        "search_params": ["a", "B"],
        "limit": ["3"],
        "page_on": ["name"],
        "page_sort": ["desc"],
    }
    assert second["page_on"] == ["name", "tie"]
    assert second["page_at_key"] == ["null", "2"]
    assert third["page_at_key"] == ["null", "5"]
    assert last["page_at_key"] == ["null", "6"]
    assert all(q["search_params"] == ["a", "B"] and q["page_sort"] == ["desc"] for q in (second, third, last))


async def test_destinations_are_paged_by_id_unless_told_otherwise(api: AuditsApi) -> None:
    async with client(api) as own:
        assert await all_rows(own.destinations()) == []
    assert api.queries[0][1] == {"limit": ["500"], "page_on": ["id"]}


async def test_a_field_that_cannot_be_paged_by_is_named(api: AuditsApi) -> None:
    async with client(api) as own:
        with pytest.raises(ApiError, match="page_on: found bogus"):
            await all_rows(own.audits(paging=Paging(page_on=("bogus",))))


async def test_a_server_that_repeats_its_key_is_no_endless_list(api: AuditsApi) -> None:
    page = {"limit": 1, "audits": [{"time": "x"}], "page_info": {"page_on": ["id"], "page_at_key": ["7"]}}
    api.receiver.answer = lambda _: Reply(200, page)
    async with client(api) as own:
        with pytest.raises(ApiError, match="same page_at_key"):
            await all_rows(own.audits())
    assert len(api.receiver.requests) == 2


async def test_dates_are_counted_from_now_once_and_sent_as_moments(api: AuditsApi) -> None:
    api.audits = [{"time": f"2026-03-0{n}T00:00:00Z"} for n in range(1, 6)]
    async with client(api) as own:
        found = await all_rows(own.audits(AuditQuery(dt_from="now-1day", dt_to=""), Paging(limit=2)))
    assert found == api.audits
    begins = {query["dt_from"][0] for _, query in api.queries}
    assert len(begins) == 1 and begins.pop().endswith("Z")
    assert all(query["dt_to"] == [""] for _, query in api.queries)


@pytest.mark.parametrize(
    "query",
    [AuditQuery(dt_from="soonish"), AuthAuditQuery(dt_to="now-"), AuditQuery(cel_expression="x" * 1025)],
)
async def test_what_cannot_be_asked_is_refused_before_anything_is_sent(api: AuditsApi, query: Any) -> None:
    async with client(api) as own:
        with pytest.raises(UsageError, match="allowed"):
            await all_rows(own.audits(query))
        with pytest.raises(UsageError, match="limit"):
            await all_rows(own.audits(paging=Paging(limit=501)))
    assert api.receiver.requests == []


async def test_an_older_server_is_paged_by_time_and_no_row_of_a_shared_moment_is_lost(api: AuditsApi) -> None:
    api.keyed = False
    # Newest first, many rows to a moment, pages that end inside one.
    api.auth_audits = [{"time": f"2026-03-01T00:00:{n // 3:02d}.000000Z", "user_id": f"u-{n}"} for n in range(50)][::-1]
    async with client(api) as own:
        found = await all_rows(own.auth_audits(AuthAuditQuery(org_id="o-1"), Paging(limit=7)))
    assert found == api.auth_audits
    assert all(query["org_id"] == ["o-1"] for _, query in api.queries)


async def test_an_older_server_with_a_page_full_of_one_moment_does_not_hold_the_list_up(api: AuditsApi) -> None:
    api.keyed = False
    same = [{"time": "2026-03-02T00:00:00.000000Z", "user_id": f"u-{n}"} for n in range(5)]
    older = [{"time": "2026-03-01T00:00:00.000000Z", "user_id": f"o-{n}"} for n in range(2)]
    api.auth_audits = [*same, *older]
    async with client(api) as own:
        found = await all_rows(own.auth_audits(paging=Paging(limit=5)))
    assert found == api.auth_audits


async def test_audits_of_a_server_without_keys_end_after_a_page(api: AuditsApi) -> None:
    api.keyed = False
    api.audits = [{"time": f"2026-03-0{n}T00:00:00Z"} for n in range(1, 6)]
    async with client(api) as own:
        assert len(await all_rows(own.audits(paging=Paging(limit=2)))) == 2


async def test_events_are_posted_as_a_bulk(api: AuditsApi) -> None:
    async with client(api) as own:
        answer = await own.bulk_events(b'{"events":[]}')
        api.receiver.script(Reply(204))
        assert await own.bulk_events(b'{"events":[]}') == {}
    assert answer["retry_events"] == []


async def test_credentials_of_an_object_are_paged_by_id(api: AuditsApi) -> None:
    rows = [{"metadata": {"id": str(n)}} for n in range(501)]
    api.receiver.script(
        Reply(200, {"limit": 500, "object_credentials": rows[:500], "page_at_id": "499"}),
        Reply(200, {"limit": 500, "object_credentials": rows[500:], "page_at_id": "500"}),
    )
    async with client(api) as own:
        assert await own.object_credentials("d-1", org_id="o-1") == rows
    assert [("page_at_id=499" in r.target, "page_at_id=&" in r.target) for r in api.receiver.requests] == [
        (False, True),
        (True, False),
    ]


async def test_one_credential_is_read_by_its_id(api: AuditsApi) -> None:
    api.receiver.script(Reply(200, {"spec": {"priority": 1}}))
    async with client(api) as own:
        assert await own.object_credential("c-1", org_id="o-1") == {"spec": {"priority": 1}}
        with pytest.raises(NotFoundError):
            await own.object_credential("c-2")
    assert api.receiver.requests[0].target == "/base/v1/object_credentials/c-1?org_id=o-1"


@pytest.mark.parametrize("fault", [Reply(503), Reply(429), Reply(408), Reply(drop=True), Reply(garbage=b"what\r\n")])
async def test_a_fault_that_passes_is_tried_again(api: AuditsApi, fault: Reply) -> None:
    api.put("soc")
    api.receiver.script(fault, fault)
    sleeper = Sleeper()
    async with client(api, sleep=sleeper) as own:
        assert len(await all_rows(own.destinations())) == 1
    assert len(sleeper.slept) == 2


async def test_retry_after_is_waited_for_and_too_long_a_one_is_said(api: AuditsApi) -> None:
    api.receiver.script(Reply(429, headers={"Retry-After": "7"}), Reply(503, headers={"Retry-After": "3600"}))
    sleeper = Sleeper()
    async with client(api, sleep=sleeper) as own:
        with pytest.raises(ApiError) as caught:
            await all_rows(own.destinations())
    assert sleeper.slept == [7]
    assert caught.value.retry_after_seconds == 3600
    assert caught.value.attempts == 2


async def test_patience_ends(api: AuditsApi) -> None:
    api.receiver.refuse()
    sleeper = Sleeper()
    async with client(api, sleep=sleeper) as own:
        with pytest.raises(ApiError, match="cannot connect: Connection refused") as caught:
            await all_rows(own.destinations())
    assert caught.value.status is None
    assert len(sleeper.slept) == 2


@pytest.mark.parametrize("status", [400, 404, 405, 410, 422, 301])
async def test_what_will_not_pass_is_not_tried_again(api: AuditsApi, status: int) -> None:
    body = {"error_code": "E_CODE", "error_message": "what \x1b[31m happened"}
    api.receiver.script(Reply(status, body))
    async with client(api) as own:
        with pytest.raises(ApiError, match=rf"GET /v1/audits: the server answered {status}: E_CODE: what") as caught:
            await all_rows(own.audits())
    assert caught.value.error_code == "E_CODE"
    assert caught.value.status == status
    assert "\x1b" not in str(caught.value)
    assert len(api.receiver.requests) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"audits": null}', b'{"audits": [1]}', b"[" * 100_000])
async def test_an_answer_that_is_none_is_an_error_and_no_empty_list(api: AuditsApi, body: bytes) -> None:
    api.receiver.script(Reply(200, body))
    async with client(api) as own:
        with pytest.raises(ApiError):
            await all_rows(own.audits())


async def test_an_error_shows_no_token(api: AuditsApi) -> None:
    api.tokens.clear()
    async with client(api) as own:
        with pytest.raises(ApiError, match="UNAUTHORIZED") as caught:
            await all_rows(own.audits())
    assert TOKEN not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize(
    "url", ["", "soc.example.net", "ftp://a.example", "https://u:p@a.example", "https://a.example?k=1"]
)
def test_a_url_that_cannot_work_is_refused_when_building(url: str) -> None:
    with pytest.raises(ValueError, match="url: found") as caught:
        Session(ControlPlaneConfig(url=url))
    assert ":p@" not in str(caught.value)
