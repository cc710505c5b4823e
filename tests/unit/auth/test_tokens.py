"""Access tokens of a service account: what is asked, what is believed, when it is asked again (WIRE 6.2)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent import auth
from agent.auth import agilicus
from agent.auth.tokens import AGAIN_SECONDS, STAY, TokenAuth
from agent.config.model import AgilicusBearer, Authentication
from agent.config.secrets import Secret
from agent.errors import SecretError, TokenError
from tests.support.service_accounts import document

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 4, 12, 0, 0, 250000, tzinfo=UTC)


def account(text: str) -> AgilicusBearer:
    return AgilicusBearer(service_account=Secret(text), scopes=["urn:a", "urn:b"], client_id="c-1")


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def issued(token: str = "t1", **members: Any) -> httpx.Response:
    return httpx.Response(200, json={"access_token": token, "token_type": "bearer", **members})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signer(clock: Clock) -> TokenAuth:
    own = account(document("https://auth.example.net"))
    return TokenAuth(
        ask=lambda: agilicus.question(own, now=NOW), read=agilicus.answer, clock=clock, spread=lambda low, _high: low
    )


def request() -> httpx.Request:
    return httpx.Request("POST", "https://soc.example.net/hook")


def signed(signer: TokenAuth) -> str:
    """Return what a request is signed with; no question may come before it."""
    flow = signer.auth_flow(asked := request())
    assert next(flow) is asked
    return str(asked.headers["Authorization"])


def asks(signer: TokenAuth) -> bool:
    """Tell whether a request would be preceded by a question."""
    return next(signer.auth_flow(asked := request())) is not asked


def obtain(signer: TokenAuth, answer: httpx.Response) -> None:
    flow = signer.auth_flow(asked := request())
    assert next(flow) is not asked
    assert flow.send(answer) is asked


def test_the_question_is_signed_as_the_platform_wants_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    asked = agilicus.question(account(document("https://auth.example.net/", key)), now=NOW)
    assert str(asked.url) == "https://auth.example.net/token"
    form = {name: value for name, (value,) in parse_qs(asked.content.decode()).items()}
    statement = form.pop("identity_assertion")
    assert form == {
        "grant_type": "urn:agilicus:params:oauth:grant-type:identity_statement",
        "client_id": "c-1",
        "scope": "urn:a urn:b",
        "authentication_document_id": "doc-1",
    }
    assert asked.headers["Authorization"] == f"Bearer {statement}"
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    head, claims, signature = statement.split(".")
    assert json.loads(decoded(head)) == {"alg": "ES256", "typ": "JWT"}
    assert json.loads(decoded(claims)) == {
        "audience": "urn:api:agilicus:tokens",
        "issuer": "urn:agilicus:authentication_documents:doc-1",
        "user_id": "u-1",
        "org_id": "o-1",
        "expiry": "2026-05-04 13:00:00.250000",
    }
    raw = decoded(signature)
    assert len(raw) == 64
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    key.public_key().verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))


def rsa_document() -> str:
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps({**json.loads(document("https://a.example")), "status": {"key": key.decode()}})


def with_key(key: str) -> str:
    return json.dumps({**json.loads(document("https://a.example")), "status": {"key": key}})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no JSON"),
        ("hunter2", "no JSON"),
        ("[]", "object"),
        ('{"metadata": {"id": "x"}}', "spec"),
        (document("ftp://a.example"), "auth_issuer_url"),
        (with_key("hunter2"), "status.key"),
        (with_key(""), "status.key"),
        (rsa_document(), "P-256"),
        (document("https://a.example", ec.generate_private_key(ec.SECP384R1())), "P-256"),
    ],
)
def test_a_document_that_cannot_be_used_is_named_without_a_secret(text: str, named: str) -> None:
    with pytest.raises(SecretError, match=named) as caught:
        agilicus.question(account(text.replace("${", "$${")), now=NOW)
    assert "hunter2" not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_a_token_is_asked_for_once_and_kept(signer: TokenAuth) -> None:
    obtain(signer, issued("t1", expires_in=3600))
    assert signed(signer) == "Bearer t1"
    assert signed(signer) == "Bearer t1"


def test_the_question_is_never_redirected(signer: TokenAuth) -> None:
    assert next(signer.auth_flow(request())).extensions[STAY]


def test_it_is_renewed_before_it_ends_and_the_old_one_serves_while_that_fails(signer: TokenAuth, clock: Clock) -> None:
    obtain(signer, issued("t1", expires_in=3600))
    clock.now += 1799
    assert not asks(signer)
    clock.now += 1
    flow = signer.auth_flow(asked := request())
    assert next(flow) is not asked
    assert flow.send(httpx.Response(503)) is asked
    assert asked.headers["Authorization"] == "Bearer t1"
    assert signed(signer) == "Bearer t1"  # no question at every request
    clock.now += AGAIN_SECONDS
    obtain(signer, issued("t2", expires_in=3600))
    assert signed(signer) == "Bearer t2"


def test_a_token_at_its_end_is_not_used(signer: TokenAuth, clock: Clock) -> None:
    obtain(signer, issued("t1", expires_in=3600))
    clock.now += 3541
    flow = signer.auth_flow(request())
    next(flow)
    with pytest.raises(TokenError, match="503"):
        flow.send(httpx.Response(503))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_asked_for_anew_once(signer: TokenAuth, status: int) -> None:
    obtain(signer, issued("t1", expires_in=3600))
    flow = signer.auth_flow(asked := request())
    assert next(flow) is asked
    assert flow.send(httpx.Response(status)) is not asked
    assert flow.send(issued("t2", expires_in=3600)) is asked
    assert asked.headers["Authorization"] == "Bearer t2"
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(status))
    assert asks(signer)


def test_of_two_refused_requests_one_asks(signer: TokenAuth) -> None:
    obtain(signer, issued("t1", expires_in=3600))
    first, second = signer.auth_flow(request()), signer.auth_flow(other := request())
    next(first)
    next(second)
    first.send(httpx.Response(401))
    first.send(issued("t2", expires_in=3600))
    assert second.send(httpx.Response(401)) is other
    assert other.headers["Authorization"] == "Bearer t2"


def jwt(**claims: Any) -> str:
    body = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("token", "members", "wanted"),
    [
        ("t", {"expires_in": 100}, 100),
        (jwt(iat=1000, exp=1700), {}, 700),
        (jwt(iat=1000, exp=1700), {"expires_in": 0}, 700),
        (jwt(exp=1700), {}, 300),
        ("t", {}, 300),
        ("a.b.c", {"expires_in": True}, 300),
    ],
)
def test_a_token_lives_as_long_as_the_answer_or_the_token_says(
    token: str, members: dict[str, Any], wanted: float
) -> None:
    found = agilicus.answer(issued(token, **members))
    assert found.lives_seconds == wanted
    assert token not in repr(found)


@pytest.mark.parametrize(
    ("response", "temporary", "seconds"),
    [
        (httpx.Response(503, headers={"Retry-After": "7"}), True, 7),
        (httpx.Response(429), True, None),
        (httpx.Response(401, json={"error": "invalid_client", "error_description": "no \x1b such"}), False, None),
        (httpx.Response(307, headers={"Location": "https://evil.example"}), False, None),
        (httpx.Response(200, json={"token": "t"}), False, None),
        (httpx.Response(200, json={"access_token": "two words"}), False, None),
        (httpx.Response(200, text="<html>"), False, None),
    ],
)
def test_an_answer_without_a_token_says_whether_asking_again_helps(
    response: httpx.Response, temporary: bool, seconds: float | None
) -> None:
    with pytest.raises(TokenError, match="the issuer of tokens answered") as caught:
        agilicus.answer(response)
    assert (caught.value.temporary, caught.value.retry_after_seconds) == (temporary, seconds)
    assert "\x1b" not in str(caught.value)


def test_a_token_file_is_read_again_for_every_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    bearer = AgilicusBearer(token=Secret(f"${{file:{file}}}"))
    signer = auth.build(Authentication(authentication_type="agilicus_bearer", agilicus_bearer=bearer))
    assert signer is not None
    assert next(signer.auth_flow(request())).headers["Authorization"] == "Bearer one"
    file.write_text("two\n")
    assert next(signer.auth_flow(request())).headers["Authorization"] == "Bearer two"


@pytest.mark.parametrize(
    "given", [AgilicusBearer(), AgilicusBearer(token=Secret("t"), service_account=Secret("{}"))], ids=["none", "both"]
)
def test_a_token_or_a_service_account_is_needed_and_not_both(given: AgilicusBearer) -> None:
    found = auth.problems(Authentication(authentication_type="agilicus_bearer", agilicus_bearer=given))
    assert [key for key, _, _ in found] == ["agilicus_bearer"]
