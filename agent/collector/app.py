"""The collector's ASGI application: settings, routes, errors in the API's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from agent.collector.ingest import ingest
from agent.receive.guard import problem, refusal
from agent.receive.limits import Budget

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a collector allows."""

    tokens: tuple[str, ...] = ()
    """Bearer tokens; none: only programs of this machine may call."""
    max_body_bytes: int = 16 << 20
    max_expanded_bytes: int = 64 << 20
    """Of a compressed body."""
    max_events: int = 10_000
    """Of one request."""
    body_timeout_seconds: float = 30.0
    max_waiting_bytes: int = 128 << 20
    """Of all requests together that are being received or stored."""

    def __repr__(self) -> str:
        """Show how many tokens there are, not which."""
        return f"Settings(tokens={len(self.tokens)}, max_body_bytes={self.max_body_bytes})"


def collector_app(store: Store, settings: Settings) -> Starlette:
    """Return the application that serves ``store``."""
    app = Starlette(
        routes=[
            Route("/v1/bulk_audit_events", ingest, methods=["POST"]),
            Route("/healthz", healthz, methods=["GET"]),
        ],
        exception_handlers={404: _not_found, 405: _wrong_method, 500: _internal},
    )
    app.state.store = store
    app.state.settings = settings
    app.state.budget = Budget(settings.max_waiting_bytes)
    return app


async def healthz(request: Request) -> Response:
    """Tell whether events can be stored; the only answer without credentials."""
    store: Store = request.app.state.store
    if store.error is not None:
        return JSONResponse({"status": "failing", "reason": "storage"}, 503)
    return JSONResponse({"status": "ok"})


async def _not_found(request: Request, _error: Exception) -> Response:
    # A caller without credentials does not learn which routes exist.
    settings: Settings = request.app.state.settings
    return refusal(request, tokens=settings.tokens) or problem(404, "not_found", f"no such path: {request.url.path}")


async def _wrong_method(request: Request, error: Exception) -> Response:
    settings: Settings = request.app.state.settings
    refused = refusal(request, tokens=settings.tokens)
    return refused or problem(
        405, "method", f"{request.method} is not allowed here", dict(getattr(error, "headers", None) or {})
    )


async def _internal(_request: Request, _error: Exception) -> Response:
    return problem(500, "internal", "an error of the collector; see its log")
