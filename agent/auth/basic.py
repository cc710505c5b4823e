"""``http_basic``: user and password, UTF-8 (WIRE 6, RFC 7617)."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from agent.auth.header import HeaderAuth

if TYPE_CHECKING:
    import httpx

    from agent.config.model import Authentication, HttpBasic


def problems(authentication: Authentication) -> list[tuple[str, str, str]]:
    """Return what keeps ``http_basic`` from working; the password is not resolved."""
    basic = authentication.http_basic
    if basic is None:
        return [("http_basic", "nothing", "username and password")]
    if ":" in basic.username:
        return [("http_basic.username", "a ':' in the user name", "a name without ':'")]
    return []


def build(authentication: Authentication) -> httpx.Auth:
    """Return the signer; ``problems`` must have found none."""
    basic = authentication.http_basic
    if basic is None:
        raise ValueError("http_basic is missing")
    return HeaderAuth(lambda: value(basic))


def value(basic: HttpBasic) -> str:
    """Return the header's value. Raises ``SecretError`` when the password cannot be resolved."""
    pair = f"{basic.username}:{basic.password.reveal()}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")
