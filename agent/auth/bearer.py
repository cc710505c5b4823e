"""``http_bearer``: a static token, or one in a file that others renew (WIRE 6, RFC 6750)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.auth.header import HeaderAuth
from agent.errors import SecretError

if TYPE_CHECKING:
    import httpx

    from agent.config.model import Authentication, HttpBearer

TOKEN = re.compile(r"[0-9a-zA-Z\-._~+/=]+")


def problems(authentication: Authentication) -> list[tuple[str, str, str]]:
    """Return what keeps ``http_bearer`` from working; the token is not resolved."""
    if authentication.http_bearer is None:
        return [("http_bearer", "nothing", "token")]
    return []


def build(authentication: Authentication) -> httpx.Auth:
    """Return the signer; ``problems`` must have found none."""
    bearer = authentication.http_bearer
    if bearer is None:
        raise ValueError("http_bearer is missing")
    return HeaderAuth(lambda: value(bearer))


def value(bearer: HttpBearer) -> str:
    """Return the header's value. Raises ``SecretError`` when the token cannot be resolved or sent."""
    token = bearer.token.reveal()
    if not TOKEN.fullmatch(token):
        raise SecretError("http_bearer.token has characters a bearer token cannot have (or is empty)")
    return f"Bearer {token}"
