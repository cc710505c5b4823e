"""``agilicus_bearer``: the platform's access token of whoever runs the agent (WIRE 6.2).

A static token, a token in a file that others renew, or a service account's authentication document, with which tokens
are asked for. The same scheme signs requests to the Audits API and to destinations.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from agent import hints
from agent.auth.bearer import TOKEN
from agent.auth.header import HeaderAuth
from agent.auth.statement import document, statement
from agent.auth.tokens import Token, TokenAuth
from agent.errors import SecretError, TokenError

if TYPE_CHECKING:
    from agent.config.model import AgilicusBearer, Authentication

GRANT = "urn:agilicus:params:oauth:grant-type:identity_statement"
ASSUMED_LIFE_SECONDS = 300.0
MAX_RETRY_AFTER_SECONDS = 3600.0
_RETRIED = frozenset({408, 425, 429})


def problems(authentication: Authentication) -> list[tuple[str, str, str]]:
    """Return what keeps ``agilicus_bearer`` from working; no secret is resolved."""
    given = authentication.agilicus_bearer
    if given is None:
        allowed = "token or service_account, here or in control_plane.authentication"
        return [("agilicus_bearer", "nothing", allowed)]
    if (given.token is None) == (given.service_account is None):
        found = "neither token nor service_account" if given.token is None else "both token and service_account"
        return [("agilicus_bearer", found, "one of the two")]
    return []


def build(authentication: Authentication) -> httpx.Auth:
    """Return the signer; ``problems`` must have found none."""
    given = authentication.agilicus_bearer
    if given is None:
        raise ValueError("agilicus_bearer is missing")
    if given.token is not None:
        return HeaderAuth(lambda: _static(given), keep=False)
    return TokenAuth(ask=lambda: question(given, now=datetime.now(UTC)), read=answer)


def _static(given: AgilicusBearer) -> str:
    token = given.token.reveal() if given.token else ""
    if not TOKEN.fullmatch(token):
        raise SecretError("agilicus_bearer.token has characters a bearer token cannot have (or is empty)")
    return f"Bearer {token}"


def question(given: AgilicusBearer, *, now: datetime) -> httpx.Request:
    """Return the request for a token. Raises ``SecretError`` when the document cannot be used; it is read each time."""
    own = document(given.service_account.reveal() if given.service_account else "")
    said = statement(own, now=now)
    form = {
        "grant_type": GRANT,
        "client_id": given.client_id,
        "scope": " ".join(given.scopes),
        "authentication_document_id": own.id,
        "identity_assertion": said,
    }
    return httpx.Request(
        "POST",
        f"{own.issuer_url.rstrip('/')}/token",
        headers={"Authorization": f"Bearer {said}", "Accept": "application/json", "Accept-Encoding": "identity"},
        data={name: value for name, value in form.items() if value},
    )


def answer(response: httpx.Response) -> Token:
    """Return the token in an issuer's answer. Raises ``TokenError``, which never repeats the answer's secrets."""
    status = response.status_code
    if not response.is_success:
        wait = hints.retry_after_seconds(
            retry_after=response.headers.get_list("retry-after"),
            date=response.headers.get("date"),
            now=datetime.now(UTC),
            cap=MAX_RETRY_AFTER_SECONDS,
        )
        raise TokenError(
            f"the issuer of tokens answered {status}{_why(response)}",
            temporary=status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            retry_after_seconds=wait,
        )
    members = _object(response.content)
    token = members.get("access_token")
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise TokenError("the issuer of tokens answered without an access_token", temporary=False)
    return Token(value=token, lives_seconds=_life(members.get("expires_in"), token))


def _life(expires_in: object, token: str) -> float:
    """Return the seconds a token lives: as the answer says, else as the token itself does."""
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and expires_in > 0:
        return float(expires_in)
    claims = _claims(token)
    issued, ends = claims.get("iat"), claims.get("exp")
    if isinstance(issued, int | float) and isinstance(ends, int | float) and ends > issued:
        return float(ends - issued)
    return ASSUMED_LIFE_SECONDS


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return _object(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _why(response: httpx.Response) -> str:
    """Return the words of an OAuth or API error; a code or a sentence, shortened."""
    members = _object(response.content)
    for name in ("error_description", "error_message", "error", "error_code"):
        text = members.get(name)
        if isinstance(text, str) and text:
            clean = "".join(c if c.isprintable() else " " for c in text)
            return f": {clean[:200]}"
    return ""
