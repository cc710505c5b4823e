"""A service account against an issuer and a server on real sockets: the API's client and a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from agent.api.client import Client
from agent.api.errors import ApiError
from agent.api.session import Patience, Session
from agent.config.model import AgilicusBearer, Authentication, ControlPlaneConfig, DestinationConfig
from agent.config.secrets import Secret
from agent.destinations.base import ACCEPTED, Kind
from agent.destinations.webhook import Webhook
from tests.support.audits_api import AuditsApi
from tests.support.receiver import Receiver, Reply
from tests.support.service_accounts import document
from tests.support.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def api() -> Iterator[AuditsApi]:
    with AuditsApi() as running:
        running.put("soc")
        yield running


def as_account(issuer_url: str) -> Authentication:
    bearer = AgilicusBearer(service_account=Secret(document(issuer_url)))
    return Authentication(authentication_type="agilicus_bearer", agilicus_bearer=bearer)


def client(api: AuditsApi, issuer_url: str | None = None) -> Client:
    settings = ControlPlaneConfig(url=api.url, authentication=as_account(issuer_url or f"{api.url}/issuer"))
    return Client(Session(settings, patience=Patience(attempts=1)))


async def count(own: Client) -> int:
    return sum([len(page.rows) async for page in own.destinations()])


async def test_a_token_is_asked_for_and_used_for_many_requests(api: AuditsApi) -> None:
    async with client(api) as own:
        assert await count(own) == 1
        assert await count(own) == 1
    assert len(api.issued) == 1
    assert api.issued[0]["authentication_document_id"] == ["doc-1"]


async def test_many_requests_at_once_ask_once(api: AuditsApi) -> None:
    async with client(api) as own, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(count, own)
    assert len(api.issued) == 1


async def test_a_token_that_is_taken_back_is_asked_for_anew(api: AuditsApi) -> None:
    async with client(api) as own:
        assert await count(own) == 1
        api.tokens.clear()
        assert await count(own) == 1
    assert len(api.issued) == 2


async def test_a_token_that_is_never_accepted_is_asked_for_twice_and_no_more(api: AuditsApi) -> None:
    answer = api.receiver.answer
    refusal = Reply(401, {"error_code": "NO"})
    api.receiver.answer = lambda request: answer(request) if request.target.endswith("/token") else refusal
    async with client(api) as own:
        with pytest.raises(ApiError, match="401: NO"):
            await count(own)
    assert len(api.issued) == 2


async def test_a_redirect_of_the_issuer_is_not_followed(api: AuditsApi) -> None:
    with Receiver(answer=lambda _: Reply(307, headers={"Location": f"{api.url}/issuer/token"})) as issuer:
        async with client(api, issuer.url) as own:
            with pytest.raises(ApiError, match="the issuer of tokens answered 307"):
                await count(own)
    assert api.issued == []


async def test_an_issuer_that_is_down_is_named_and_not_the_server(api: AuditsApi) -> None:
    async with client(api, "http://127.0.0.1:9/issuer") as own:
        with pytest.raises(ApiError, match=r"http://127\.0\.0\.1:9: cannot connect") as caught:
            await count(own)
    assert caught.value.temporary


async def test_an_answer_of_the_issuer_without_end_is_not_kept_in_memory(api: AuditsApi) -> None:
    with Receiver(answer=lambda _: Reply(200, b"x" * 65536, repeat_body=100)) as issuer:
        async with client(api, issuer.url) as own:
            with pytest.raises(ApiError, match="without an access_token"):
                await count(own)


async def test_a_destination_signs_with_the_same_scheme(api: AuditsApi) -> None:
    with Receiver() as receiver:
        webhook = Webhook(
            DestinationConfig(
                name="soc",
                destination_type="webhook",
                location=receiver.url,
                authentication=as_account(f"{api.url}/issuer"),
            )
        )
        try:
            assert await webhook.attempt(transaction(3)) == ACCEPTED
            assert await webhook.attempt(transaction(3)) == ACCEPTED
            api.receiver.script(Reply(503, headers={"Retry-After": "11"}), Reply(401, {"error": "invalid_client"}))
            receiver.script(Reply(401), Reply(401))
            busy = await webhook.attempt(transaction(3))
            refused = await webhook.attempt(transaction(3))
        finally:
            await webhook.aclose()
    assert {request.headers["authorization"] for request in receiver.requests} == {"Bearer issued-1"}
    assert busy.failure is not None and refused.failure is not None
    assert (busy.failure.kind, busy.failure.retry_after_seconds) == (Kind.NOT_NOW, 11)
    assert refused.failure.kind is Kind.DESTINATION
    assert "invalid_client" in refused.failure.reason
    assert list(busy.pending) == [0, 1, 2]
