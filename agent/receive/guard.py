"""Who may call: bearer tokens, and on an address without one only programs of this machine, never a web page."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from agent.loopback import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*?)\.?(?::\d*)?", re.IGNORECASE)


def refusal(request: Request, *, tokens: Sequence[str]) -> Response | None:
    """Return the answer to a caller that may not call, None for one that may."""
    if tokens:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        offered = given.strip().encode("latin-1")
        # Every token is compared, in constant time, so that timing tells nothing.
        matches = [hmac.compare_digest(offered, token.encode()) for token in tokens]
        if scheme.lower() == "bearer" and any(matches):
            return None
        return problem(401, "unauthorized", "a bearer token is required", {"WWW-Authenticate": 'Bearer realm="audit"'})
    return local_only(request)


def local_only(request: Request) -> Response | None:
    """Return the answer to a web page, None for a program of this machine; for addresses only this machine reaches."""
    # A page of a web site whose name was made to point here (DNS rebinding) says so in Host.
    named = _HOST.fullmatch(request.headers.get("host", ""))
    host = named[1].strip("[]") if named else "?"
    if "origin" in request.headers or not (host == "" or is_loopback_host(host)):
        return problem(403, "forbidden", "without a token only programs of this machine may call, not web pages")
    return None


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the API's shape (WIRE 1)."""
    return JSONResponse({"error_code": code, "error_message": message}, status, headers)
