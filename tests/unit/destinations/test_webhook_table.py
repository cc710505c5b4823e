"""Every row of WIRE 4.3 over a real socket: what comes back, and what becomes of the events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agent.config.model import Authentication, Delivery, DestinationConfig, HttpBearer, Retry
from agent.config.secrets import Secret
from agent.destinations.base import ACCEPTED, Kind
from agent.destinations.webhook import Webhook
from tests.support.receiver import Receiver, Reply, processed
from tests.support.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.destinations.base import Answer

pytestmark = pytest.mark.anyio

SENT = transaction(3)
IDS = SENT.unique_ids()
ALL = [0, 1, 2]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


async def answer_to(receiver: Receiver, *replies: Reply, url: str | None = None, **config: Any) -> Answer:
    receiver.script(*replies)
    delivery = config.pop("delivery", Delivery(timeout=30))
    webhook = Webhook(
        DestinationConfig(
            name="soc", destination_type="webhook", location=url or receiver.url, delivery=delivery, **config
        )
    )
    try:
        return await webhook.attempt(SENT)
    finally:
        await webhook.aclose()


def bearer(token: str = "t") -> Authentication:
    return Authentication(authentication_type="http_bearer", http_bearer=HttpBearer(token=Secret(token)))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226])
async def test_2xx_with_an_empty_body_accepts_all(receiver: Receiver, status: int) -> None:
    assert await answer_to(receiver, Reply(status)) == ACCEPTED


@pytest.mark.parametrize("status", [200, 201, 207])
async def test_2xx_with_lists_is_judged_by_event(receiver: Receiver, status: int) -> None:
    body = processed(discard=[IDS[0]], retry=[(IDS[2], "too_busy")], retry_after_delay_seconds=7.5)
    answer = await answer_to(receiver, Reply(status, body))
    assert list(answer.rejected) == [0]
    assert list(answer.pending) == [2]
    assert answer.failure is not None
    assert (answer.failure.kind, answer.failure.retry_after_seconds) == (Kind.NOT_NOW, 7.5)


@pytest.mark.parametrize("body", [b"OK", b"<html>done</html>", b"[]", b'{"ok":true}', b'{"broken":', b"\xff\x00"])
async def test_2xx_with_any_other_body_accepts_all(receiver: Receiver, body: bytes) -> None:
    assert await answer_to(receiver, Reply(201, body)) == ACCEPTED


async def test_400_discards_the_whole_transaction(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(400, b'{"error_message":"no"}'))
    assert sorted(answer.rejected) == ALL
    assert not answer.pending
    assert {r.counter for r in answer.rejected.values()} == {"drop_rejected"}
    assert {r.status for r in answer.rejected.values()} == {400}
    assert "no" in answer.rejected[0].excerpt
    assert len(receiver.requests) == 1


async def test_413_asks_for_halves(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(413))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.TOO_LARGE)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599, 600])
async def test_not_now(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 414, 415, 422, 451, 499])
async def test_other_4xx_are_the_destination_s_trouble(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.DESTINATION)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_repeated_once_at_once(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status), authentication=bearer())
    assert answer == ACCEPTED
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_refused_twice_leave_the_events_pending(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, *[Reply(status)] * 3, authentication=bearer())
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.DESTINATION)
    assert len(receiver.requests) == 2


async def test_credentials_that_cannot_be_built_leave_the_events_pending(receiver: Receiver) -> None:
    answer = await answer_to(receiver, authentication=bearer("${file:/nonexistent/token}"))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.DESTINATION)
    assert not receiver.requests


@pytest.mark.parametrize("status", [429, 503, 500, 408, 404])
async def test_retry_after_is_honoured_with_every_failure(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status, headers={"Retry-After": "17"}))
    assert answer.failure is not None
    assert answer.failure.retry_after_seconds == 17


async def test_retry_after_as_a_date_counts_from_the_date_of_the_response(receiver: Receiver) -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:49:00 GMT", "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}
    answer = await answer_to(receiver, Reply(429, headers=headers))
    assert answer.failure is not None
    assert answer.failure.retry_after_seconds == 37


async def test_hints_in_the_body_of_a_failure_count_too(receiver: Receiver) -> None:
    reply = Reply(503, processed(retry_after_delay_seconds=40), headers={"Retry-After": "17"})
    answer = await answer_to(receiver, reply)
    assert answer.failure is not None
    assert answer.failure.retry_after_seconds == 40


async def test_a_hint_is_capped(receiver: Receiver) -> None:
    delivery = Delivery(retry=Retry(max_retry_after=100))
    answer = await answer_to(receiver, Reply(429, headers={"Retry-After": "86400"}), delivery=delivery)
    assert answer.failure is not None
    assert answer.failure.retry_after_seconds == 100


async def test_a_retry_list_without_a_hint_leaves_the_delay_to_back_off(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(201, processed(retry=IDS)))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)
    assert answer.failure is not None
    assert answer.failure.retry_after_seconds is None


async def test_anomalies_are_counted(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(201, processed(["foreign"], discard=[IDS[0]], retry=[IDS[0]])))
    assert answer.anomalies == 2


@pytest.mark.parametrize("status", [307, 308])
async def test_307_and_308_are_followed_with_the_same_body(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status, headers={"Location": "/other?x=1"}), authentication=bearer())
    assert answer == ACCEPTED
    first, second = receiver.requests
    assert (second.method, second.target, second.body) == ("POST", "/other?x=1", first.body)
    assert second.headers["authorization"] == "Bearer t"
    assert first.connection == second.connection


@pytest.mark.parametrize("hops", [5, 6])
async def test_at_most_five_redirects_are_followed(receiver: Receiver, hops: int) -> None:
    answer = await answer_to(receiver, *[Reply(307, headers={"Location": "/again"})] * hops)
    assert (answer == ACCEPTED) == (hops == 5)
    assert len(receiver.requests) == 6


async def test_credentials_do_not_follow_to_another_origin(receiver: Receiver) -> None:
    with Receiver() as other:
        delivery = Delivery(headers={"X-Api-Key": Secret("k")})
        answer = await answer_to(
            receiver, Reply(308, headers={"Location": other.url}), authentication=bearer(), delivery=delivery
        )
        assert answer == ACCEPTED
        there = other.requests[0].headers
        assert receiver.requests[0].headers["x-api-key"] == "k"
        assert not {"authorization", "x-api-key"} & there.keys()
        assert there["host"] == f"127.0.0.1:{other.port}"
        assert other.ids() == receiver.ids()


@pytest.mark.parametrize("location", [None, "ftp://127.0.0.1/", "http://[", "file:///etc/passwd", "http://a b/"])
async def test_a_redirect_that_leads_nowhere_is_a_failure_as_5xx(receiver: Receiver, location: str | None) -> None:
    headers = {"Location": location} if location else {}
    answer = await answer_to(receiver, Reply(307, headers=headers))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305])
async def test_other_3xx_are_a_failure_as_5xx(receiver: Receiver, status: int) -> None:
    answer = await answer_to(receiver, Reply(status, headers={"Location": "/other"}))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(garbage=b"HTTP/1.1 100 Continue\r\n\r\n"), id="1XX only"),
        pytest.param(Reply(garbage=b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), id="101"),
        pytest.param(Reply(garbage=b"SSH-2.0-OpenSSH_9.8\r\n"), id="not HTTP"),
        pytest.param(Reply(garbage=b"HTTP/1.1 201 Created\r\nX: " + b"y" * 1_000_000), id="endless head"),
        pytest.param(Reply(drop=True), id="closed without an answer"),
        pytest.param(Reply(cut=True), id="cut in the head"),
        pytest.param(Reply(201, processed(retry=IDS), cut=True), id="cut in the body"),
    ],
)
async def test_an_answer_that_does_not_arrive_whole_counts_nothing_as_sent(receiver: Receiver, reply: Reply) -> None:
    answer = await answer_to(receiver, reply)
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


async def test_connection_refused(receiver: Receiver) -> None:
    receiver.refuse()
    answer = await answer_to(receiver)
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


async def test_a_name_that_does_not_resolve(receiver: Receiver) -> None:
    answer = await answer_to(receiver, url="http://no-such-host.invalid/hook")
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(hang=True), id="no answer"),
        pytest.param(Reply(201, b" " * 1000, trickle_seconds=0.05), id="a slow body"),
    ],
)
async def test_a_timeout_is_ambiguous_so_nothing_counts_as_sent(receiver: Receiver, reply: Reply) -> None:
    answer = await answer_to(receiver, reply, delivery=Delivery(timeout=0.3))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


async def test_a_failure_is_known_by_its_status_although_its_body_is_cut(receiver: Receiver) -> None:
    reply = Reply(429, b"x" * 100, headers={"Retry-After": "9"}, cut=True)
    answer = await answer_to(receiver, reply)
    assert answer.failure is not None
    assert (answer.failure.status, answer.failure.retry_after_seconds) == (429, 9)


async def test_a_2xx_of_absurd_length_settles_nothing_and_is_not_read_to_its_end(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(200, b"x" * 1_000_000, repeat_body=2000))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.DESTINATION)


async def test_an_error_page_of_absurd_length_is_not_read_to_its_end(receiver: Receiver) -> None:
    answer = await answer_to(receiver, Reply(503, b"x" * 1_000_000, repeat_body=2000))
    assert (list(answer.pending), kind(answer)) == (ALL, Kind.NOT_NOW)


async def test_the_request_is_what_the_wire_says(receiver: Receiver) -> None:
    await answer_to(receiver)
    request = receiver.requests[0]
    assert (request.method, request.target) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("audit-agent/")
    assert "authorization" not in request.headers
    assert json.loads(request.body) == {"events": [json.loads(b) for b in SENT.bodies]}


def kind(answer: Answer) -> Kind | None:
    return answer.failure.kind if answer.failure else None
