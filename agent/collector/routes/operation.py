"""One operation of the API: its route, its documentation, and what all of them do before and after their own work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.responses import Response
from starlette.routing import Route

from agent.collector.access.principal import Principal
from agent.collector.routes.parameters import ParameterError, read
from agent.collector.store.errors import BusyError, StoreError
from agent.receive.body import BodyError
from agent.receive.guard import problem
from agent.receive.limits import OverloadedError
from agent.receive.wait import retry_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from agent.collector.access.guard import Guard
    from agent.collector.access.principal import Scope
    from agent.collector.routes.parameters import Parameter
    from agent.collector.settings import Settings
    from agent.collector.store import Store
    from agent.receive.limits import Budget

log = structlog.get_logger(__name__)


class RefusedError(Exception):
    """A request that cannot be served; carries the status and the error's code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep them."""
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that may be served."""

    request: Request
    principal: Principal
    parameters: dict[str, Any]
    store: Store
    settings: Settings
    budget: Budget

    @property
    def source_ip(self) -> str:
        """The address the request came from."""
        return self.request.client.host if self.request.client else ""

    async def org(self) -> int:
        """Return the number of the caller's organisation."""
        return await self.store.org(self.principal.org_id)

    def own_org(self) -> bool:
        """Tell whether the parameter ``org_id`` means the caller's organisation."""
        return self.parameters.get("org_id") in (None, self.principal.org_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    """Its ``operationId``."""
    about: str
    scope: Scope
    run: Callable[[Call], Awaitable[Response]]
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    """The schema of the request's body."""
    answers: dict[int, str | None] = field(default_factory=dict)
    """Status → the schema of the answer's body; errors that every operation may answer are not repeated here."""


def routes(operations: tuple[Operation, ...], guard: Guard) -> list[Route]:
    """Return the routes of ``operations``, one for each path."""
    return [_route(operation, guard) for operation in operations]


def answer(value: object, status: int = 200) -> Response:
    """Return ``value`` as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _route(operation: Operation, guard: Guard) -> Route:
    async def served(request: Request) -> Response:
        try:
            principal = await guard.caller(request)
            if not isinstance(principal, Principal):
                return principal
            if operation.scope not in principal.scopes:
                return problem(403, "forbidden", f"these credentials have not the scope {operation.scope}")
            if any("\0" in str(value) for value in request.path_params.values()):
                return problem(404, "not_found", "found a NUL character in the path; nothing has one")
            state = request.app.state
            call = Call(
                request=request,
                principal=principal,
                parameters=read(request.query_params.multi_items(), operation.parameters),
                store=state.store,
                settings=state.settings,
                budget=state.budget,
            )
            return await operation.run(call)
        except ParameterError as error:
            return problem(400, "parameter", str(error))
        except RefusedError as error:
            return problem(error.status, error.code, str(error))
        except BodyError as error:
            # There may be more to come of it, which is no next request.
            return problem(error.status, "body", error.reason, {"Connection": "close"})
        except (OverloadedError, BusyError) as error:
            message = str(error) or "more is waiting to be stored than may wait"
            return problem(429, "overloaded", message, retry_after(1, 4))
        except StoreError as error:
            return problem(503, "storage", f"nothing was done: {error}", retry_after(2, 8))

    return Route(operation.path, served, methods=[operation.method])
