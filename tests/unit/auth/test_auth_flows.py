"""Authentication flows, driven by hand: no network (WIRE 4.3, 6)."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

import httpx
import pytest

from agent import auth
from agent.config.model import Authentication, HttpBasic, HttpBearer
from agent.config.secrets import Secret
from agent.errors import SecretError

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://soc.example.net/hook"


def bearer(token: str) -> Authentication:
    return Authentication(authentication_type="http_bearer", http_bearer=HttpBearer(token=Secret(token)))


def basic(username: str, password: str) -> Authentication:
    return Authentication(
        authentication_type="http_basic", http_basic=HttpBasic(username=username, password=Secret(password))
    )


def built(authentication: Authentication) -> httpx.Auth:
    found = auth.build(authentication)
    assert found is not None
    return found


def header(authentication: Authentication) -> str:
    return next(built(authentication).sync_auth_flow(httpx.Request("POST", URL))).headers["Authorization"]


def test_none_signs_nothing() -> None:
    assert auth.build(Authentication()) is None


def test_basic_sends_user_and_password_in_utf8() -> None:
    scheme, _, value = header(basic("jürgen", "pä:ss")).partition(" ")
    assert (scheme, b64decode(value).decode("utf-8")) == ("Basic", "jürgen:pä:ss")


def test_bearer_sends_the_token() -> None:
    assert header(bearer("abc.DEF-1_2~3+/=")) == "Bearer abc.DEF-1_2~3+/="


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ключ", 'quo"te'])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(SecretError) as caught:
        header(bearer(token))
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_repeated_once_with_the_credentials_as_they_are_now(status: int, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    flow = built(bearer(f"${{file:{token}}}")).auth_flow(httpx.Request("POST", URL))
    assert next(flow).headers["Authorization"] == "Bearer old"
    token.write_text("new")
    assert flow.send(httpx.Response(status)).headers["Authorization"] == "Bearer new"
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(status))


def test_a_second_refusal_makes_the_next_attempt_look_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    signer = built(bearer(f"${{file:{token}}}"))
    flow = signer.auth_flow(httpx.Request("POST", URL))
    next(flow)
    flow.send(httpx.Response(401))
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(401))
    token.write_text("new")
    assert next(signer.auth_flow(httpx.Request("POST", URL))).headers["Authorization"] == "Bearer new"


@pytest.mark.parametrize("status", [201, 400, 404, 429, 500])
def test_other_answers_are_not_repeated(status: int) -> None:
    flow = built(bearer("t")).auth_flow(httpx.Request("POST", URL))
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(status))


def test_credentials_are_kept_while_they_work(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    signer = built(bearer(f"${{file:{token}}}"))
    next(signer.auth_flow(httpx.Request("POST", URL)))
    token.unlink()
    assert next(signer.auth_flow(httpx.Request("POST", URL))).headers["Authorization"] == "Bearer first"


def test_a_missing_secret_is_an_error_at_use_and_heals(tmp_path: Path) -> None:
    token = tmp_path / "token"
    signer = built(bearer(f"${{file:{token}}}"))
    with pytest.raises(SecretError):
        next(signer.auth_flow(httpx.Request("POST", URL)))
    token.write_text("late")
    assert next(signer.auth_flow(httpx.Request("POST", URL))).headers["Authorization"] == "Bearer late"


@pytest.mark.parametrize(
    ("authentication", "key"),
    [
        (basic("us:er", "p"), "http_basic.username"),
        (Authentication(authentication_type="http_basic"), "http_basic"),
        (Authentication(authentication_type="http_bearer"), "http_bearer"),
        (Authentication(authentication_type="client_certificate"), "authentication_type"),
        (Authentication(authentication_type="oauth2"), "authentication_type"),
        (Authentication(authentication_type="agilicus_bearer"), "agilicus_bearer"),
        (Authentication(authentication_type="google_service_account"), "authentication_type"),
        (Authentication(authentication_type="kerberos"), "authentication_type"),
    ],
)
def test_what_cannot_work_is_named_by_its_key(authentication: Authentication, key: str) -> None:
    assert [found[0] for found in auth.problems(authentication)] == [key]
    with pytest.raises(ValueError, match=rf"authentication\.{key}: found .*; allowed: "):
        auth.build(authentication)
