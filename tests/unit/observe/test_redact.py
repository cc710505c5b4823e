"""No secret gets into a log line, whatever it hides in."""

from __future__ import annotations

import pytest

from agent.observe.redact import mask_fields, mask_text

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"refused: bearer {SECRET}.with-more_of~it+/==",
        f"Proxy-Authorization: Basic {SECRET}==",
        f"POST https://user:{SECRET}@example.net/hook failed",
        f"https://{SECRET}@example.net",
        f"https://example.net/hook?access_token={SECRET}&x=1",
        f"https://example.net/hook?sig=1&x-amz-signature={SECRET}",
        f"password={SECRET} was refused",
        f'{{"client_secret": "{SECRET}", "a": 1}}',
        f"{{'api_key': '{SECRET}'}}",
    ],
)
def test_a_secret_inside_a_text_is_masked(text: str) -> None:
    masked = mask_text(text)
    assert SECRET not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "the destination asks for basic authentication",
        "Bearer realm=audit",
        "set a bearer token in the configuration",
        "https://example.net/hook?limit=5",
        "soc: degraded: HTTP 401 at https://example.net/a@b",
        "/var/log/app/access.jsonl: 17 bytes",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "name",
    ["token", "Authorization", "client_secret", "password", "key_password", "api-key", "accessToken", "credentials"],
)
def test_a_field_named_like_a_secret_is_masked(name: str) -> None:
    assert mask_fields({name: SECRET}) == {name: "***"}
    assert mask_fields({"outer": {"inner": [{name: SECRET}]}}) == {"outer": {"inner": [{name: "***"}]}}


def test_counts_and_addresses_of_secrets_are_shown() -> None:
    fields = {"tokens": 3, "token_url": "https://example.net/token", "secret": None}
    assert mask_fields(fields) == fields


def test_an_object_is_shown_by_its_masked_repr() -> None:
    class Request:
        def __repr__(self) -> str:
            return f"<Request headers='Bearer {SECRET}'>"

    assert SECRET not in str(mask_fields({"request": Request(), "error": ValueError(f"Basic {SECRET}")}))


def test_a_structure_that_contains_itself_ends() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert mask_fields({"loop": loop})
