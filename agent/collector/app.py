"""The collector's ASGI application: which operations it serves, errors in the API's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.collector import reports
from agent.collector.access.guard import Guard
from agent.collector.access.principal import Principal
from agent.collector.pages import page_routes
from agent.collector.pages.render import Renderer
from agent.collector.routes import audits, destinations, streams
from agent.collector.routes.document import document
from agent.collector.routes.ingest import INGEST
from agent.collector.routes.operation import Operation, routes
from agent.collector.store import BusyError, StoreError
from agent.receive.guard import problem
from agent.receive.limits import Budget
from agent.receive.wait import retry_after

if TYPE_CHECKING:
    from starlette.requests import Request

    from agent.collector.settings import Settings
    from agent.collector.store import Store

OPERATIONS: tuple[Operation, ...] = (
    INGEST,
    *destinations.OPERATIONS,
    *audits.OPERATIONS,
    streams.OPERATION,
    *reports.OPERATIONS,
)


def collector_app(store: Store, settings: Settings) -> Starlette:
    """Return the application that serves ``store``."""
    guard = Guard(settings, store)
    app = Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
            *routes(OPERATIONS, guard),
            *page_routes(),
        ],
        exception_handlers={
            404: _not_found,
            405: _wrong_method,
            BusyError: _unusable,
            StoreError: _unusable,
            500: _internal,
        },
    )
    app.router.redirect_slashes = False  # a redirect would tell callers without credentials which routes exist
    app.state.store = store
    app.state.settings = settings
    app.state.guard = guard
    app.state.renderer = Renderer(with_logout=not settings.open_to_this_machine)
    app.state.budget = Budget(settings.max_waiting_bytes)
    return app


async def healthz(request: Request) -> Response:
    """Tell whether events can be stored; the only answer without credentials."""
    store: Store = request.app.state.store
    if store.error is not None:
        return JSONResponse({"status": "failing", "reason": "storage"}, 503)
    return JSONResponse({"status": "ok"})


async def openapi(request: Request) -> Response:
    """Answer with the document of this API."""
    if (refused := await _refusal(request)) is not None:
        return refused
    return Response(msgspec.json.encode(document(OPERATIONS)), media_type="application/json")


async def _refusal(request: Request) -> Response | None:
    # A caller without credentials does not learn which routes exist.
    guard: Guard = request.app.state.guard
    try:
        caller = await guard.caller(request)
    except (BusyError, StoreError):
        return problem(503, "storage", "who is calling cannot be found out now", retry_after(2, 8))
    return None if isinstance(caller, Principal) else caller


async def _not_found(request: Request, _error: Exception) -> Response:
    return await _refusal(request) or problem(404, "not_found", f"no such path: {request.url.path[:200]}")


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    found = [route.methods for route in request.app.routes if route.path_regex.match(request.url.path)]
    if allowed := sorted({method for methods in found for method in methods}):
        headers["Allow"] = ", ".join(allowed)
    refused = await _refusal(request)
    return refused or problem(405, "method", f"{request.method} is not allowed here", headers)


async def _unusable(_request: Request, error: Exception) -> Response:
    return problem(503, "storage", f"the database cannot be used now: {error}", retry_after(2, 8))


async def _internal(_request: Request, _error: Exception) -> Response:
    return problem(500, "internal", "an error of the collector; see its log")
