"""The admin endpoint: ``/healthz``, ``/readyz``, ``/metrics``, ``/stats``; reads only, and tells no event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.loopback import is_loopback_host
from agent.observe.health import readiness
from agent.observe.metrics import exposition
from agent.observe.wire_stats import publish

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from agent.stats import AgentStats

_HEADERS = {"cache-control": "no-store"}


def admin_app(look: Callable[[], AgentStats], *, stalled_after: Callable[[], float], loopback_only: bool) -> Starlette:
    """Return the application; ``look`` gives the counters, refreshed, and is called once per request.

    ``/healthz`` is 200 while the event loop turns; ``/readyz`` is 200 or 503 with the reasons, by progress: an agent
    that runs and ships nothing is not ready. With ``loopback_only`` a request for another host's name gets 403, so
    that no web page can read the endpoint through a name that points to 127.0.0.1.
    """

    # Coroutines, so that they run on the event loop: a threadpool would see counters in the middle of a change.
    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def readyz(_request: Request) -> Response:
        found = readiness(look(), now=time.time(), stalled_after=stalled_after())
        body = {"ready": found.ready, "reasons": found.reasons}
        return JSONResponse(body, status_code=200 if found.ready else 503, headers=_HEADERS)

    async def metrics(_request: Request) -> Response:
        text, content_type = exposition(look())
        return Response(text, headers={**_HEADERS, "content-type": content_type})

    async def stats(_request: Request) -> Response:
        return JSONResponse(publish(look(), now=time.time()), headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/stats", stats),
        ],
        middleware=[Middleware(_LoopbackHosts)] if loopback_only else [],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )


class _LoopbackHosts:
    """Turns away requests whose Host header names anything but this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not all(
            is_loopback_host(_host_alone(value.decode("latin-1")))
            for name, value in scope["headers"]
            if name == b"host"
        ):
            refusal = _error(403, "forbidden_host", "the Host header must name this machine: localhost or 127.0.0.1")
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_alone(host: str) -> str:
    """Take the port off a Host header."""
    head, colon, port = host.rpartition(":")
    return head if colon and port.isdigit() and not (head.count(":") and not head.endswith("]")) else host


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error_code": code, "error_message": message}, status_code=status, headers=_HEADERS)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _internal_error(request, error)
    response = _error(error.status_code, error.detail.lower().replace(" ", "_"), error.detail)
    response.headers.update(error.headers or {})
    return response


async def _internal_error(_: Request, error: Exception) -> Response:
    return _error(500, "internal_error", type(error).__name__)
