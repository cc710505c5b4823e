"""Who calls an operation of the API, and for which organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.collector.store.store import DEFAULT_ORG
from agent.receive.guard import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.settings import Settings


def of_caller(
    operation: Callable[[Request, str], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Return ``operation`` for callers with credentials, called with their organisation."""

    async def guarded(request: Request) -> Response:
        settings: Settings = request.app.state.settings
        refused = refusal(request, tokens=settings.tokens)
        return refused or await operation(request, DEFAULT_ORG)

    return guarded
