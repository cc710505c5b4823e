"""Who may call: bearer tokens, and on an address without one only programs of this machine, never a web page."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

_LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")


def refusal(request: Request, *, tokens: Sequence[str]) -> Response | None:
    """Return the answer to a caller that may not call, None for one that may."""
    if tokens:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        offered = given.strip().encode()
        # Every token is compared, in constant time, so that timing tells nothing.
        matches = [hmac.compare_digest(offered, token.encode()) for token in tokens]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return problem(401, "unauthorized", "a bearer token is required", {"WWW-Authenticate": 'Bearer realm="audit"'})
    host = request.headers.get("host", "").rsplit(":", 1)[0] if request.url.port else request.headers.get("host", "")
    if "origin" in request.headers or host.rstrip(".") not in (*_LOCAL, ""):
        return problem(403, "forbidden", "without a token only programs of this machine may call, not web pages")
    return None


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the API's shape (WIRE 1)."""
    return JSONResponse({"error_code": code, "error_message": message}, status, headers)
