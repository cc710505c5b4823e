"""What can go wrong with the Audits API, as a tree.

::

    AgentError
    └── ApiError             not answered as documented; ``status`` is None when nothing was answered at all
        ├── NotFoundError    404
        └── ConflictError    409; ``document`` is what the server holds
"""

from __future__ import annotations

import json
from typing import Any

from agent.errors import AgentError

MOST_CHARACTERS = 300


class ApiError(AgentError):
    """An operation of the API failed. Carries the server's code and message, never a credential."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error_code: str | None = None,
        error_message: str | None = None,
        temporary: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        """Say what was tried and what came back; ``temporary`` when the same request may work later."""
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.error_message = error_message
        self.temporary = temporary
        self.retry_after_seconds = retry_after_seconds
        self.attempts = 1
        """How many requests were sent; from 2 on, an earlier one may have had its effect unseen."""


class NotFoundError(ApiError):
    """There is no such object, or not for these credentials."""


class ConflictError(ApiError):
    """The name is taken (create) or the object has changed meanwhile (replace)."""

    document: dict[str, Any] | None = None
    """What the server holds, where the answer's body is that."""


def refused(what: str, status: int, body: bytes, *, retry_after_seconds: float | None, temporary: bool) -> ApiError:
    """Return the error for an answer; ``what`` names the operation, such as ``GET /v1/audits``."""
    members = json_object(body)
    code, message = _text(members, "error_code"), _text(members, "error_message")
    said = ": ".join(filter(None, (code, message)))
    kind = {404: NotFoundError, 409: ConflictError}.get(status, ApiError)
    error = kind(
        f"{what}: the server answered {status}" + (f": {said}" if said else _hint(status)),
        status=status,
        error_code=code,
        error_message=message,
        temporary=temporary,
        retry_after_seconds=retry_after_seconds,
    )
    if isinstance(error, ConflictError) and "spec" in members:
        error.document = members
    return error


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``, empty when it holds none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        return None
    return "".join(c if c.isprintable() else " " for c in value[:MOST_CHARACTERS])


def _hint(status: int) -> str:
    return {
        401: "; check the token, or the service account",
        403: "; these credentials may not do that",
        404: "; check the id, org_id and the URL",
    }.get(status, "")
