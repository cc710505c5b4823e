"""The collector's ASGI application: routes, errors in the API's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from agent.collector import reports
from agent.collector.callers import of_caller
from agent.collector.ingest import ingest
from agent.collector.pages import page_routes
from agent.collector.pages.render import Renderer
from agent.receive.guard import problem, refusal
from agent.receive.limits import Budget

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.settings import Settings
    from agent.collector.store import Store


def collector_app(store: Store, settings: Settings) -> Starlette:
    """Return the application that serves ``store``."""
    app = Starlette(
        routes=[
            Route("/v1/bulk_audit_events", ingest, methods=["POST"]),
            Route("/v1/agent_connectors/{agent_id}/dynamic_stats", of_caller(reports.take), methods=["POST"]),
            Route("/v1/agent_connectors/{agent_id}/dynamic_stats", of_caller(reports.show), methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
            *page_routes(),
        ],
        exception_handlers={404: _not_found, 405: _wrong_method, 500: _internal},
    )
    app.router.redirect_slashes = False  # a redirect would tell callers without credentials which routes exist
    app.state.store = store
    app.state.settings = settings
    app.state.renderer = Renderer(with_logout=bool(settings.tokens))
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
