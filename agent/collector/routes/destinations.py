"""Audit destinations: list, create, get, replace, delete (WIRE 1, 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from agent.collector.access.principal import Scope
from agent.collector.routes.destination_body import checked
from agent.collector.routes.operation import Operation, RefusedError, answer
from agent.collector.routes.parameters import LIMIT, ORG_ID, PAGING, Parameter
from agent.collector.store import destinations, own
from agent.collector.store.paging import PageError, paging
from agent.receive.body import read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy as sa

    from agent.collector.routes.operation import Call

_KIND = "AuditDestination"
_PATH = "/v1/audit_destinations"


async def list_destinations(call: Call) -> Response:
    """Answer with a page of the organisation's destinations."""
    given = call.parameters
    limit: int = given["limit"]
    try:
        page = paging(
            destinations.FIELDS,
            page_on=given["page_on"],
            default=("id",),
            page_sort=given["page_sort"],
            page_at_key=given["page_at_key"],
            backwards=given["search_direction"] == "backwards",
        )
    except PageError as error:
        raise RefusedError(400, "paging", str(error)) from error
    rows: list[dict[str, Any]] = []
    info = None
    if call.own_org():
        org = await call.org()
        rows, info = await call.store.read(
            lambda connection: destinations.listed(
                connection,
                org,
                page,
                limit=limit,
                name=given["name"],
                destination_type=given["destination_type"],
                external=given["external"],
                search=given["search_params"],
            )
        )
    body: dict[str, Any] = {"limit": limit, "audit_destinations": rows}
    return answer(body | ({"page_info": info} if info else {}))


async def create(call: Call) -> Response:
    """Store a new one; 409 with the existing one when its name is taken."""
    body = await _body(call)
    org = await call.org()

    try:
        made = await _write(call, org, "CREATE", lambda connection: destinations.create(connection, org, body))
        return answer(made, 201)
    except destinations.ConflictError as error:
        return answer(error.existing, 409)
    except destinations.FullError as error:
        raise RefusedError(400, "full", str(error)) from error


async def get(call: Call) -> Response:
    """Answer with one."""
    org = await call.org()
    name = _name(call)
    return _found(call, await call.store.read(lambda connection: destinations.find(connection, org, name)))


async def replace(call: Call) -> Response:
    """Replace one as a whole; 409 when it was changed since it was read."""
    body = await _body(call)
    org = await call.org()
    name = _name(call)

    try:
        made = await _write(call, org, "UPDATE", lambda connection: destinations.replace(connection, org, name, body))
        return _found(call, made)
    except destinations.ConflictError as error:
        raise RefusedError(409, "conflict", str(error)) from error


async def delete(call: Call) -> Response:
    """Remove one."""
    org = await call.org()
    name = _name(call)
    gone = None
    if call.own_org():
        gone = await _write(call, org, "DELETE", lambda connection: destinations.delete(connection, org, name))
    _found(call, gone)
    return Response(status_code=204)


def _name(call: Call) -> str:
    return str(call.request.path_params["destination_id"])


def _found(call: Call, body: dict[str, Any] | None) -> Response:
    if body is None or not call.own_org():
        raise RefusedError(404, "not_found", f"no audit destination {_name(call)[:80]!r} in this organisation")
    return answer(body)


async def _body(call: Call) -> dict[str, Any]:
    with call.budget.request() as take:
        body = checked(await read_body(call.request, call.settings, take=take))
    wanted = body["spec"]["org_id"]
    if wanted != call.principal.org_id:
        raise RefusedError(
            403, "forbidden", f"spec.org_id: found {wanted[:80]!r}; these credentials are of {call.principal.org_id!r}"
        )
    return body


async def _write(
    call: Call, org: int, action: str, make: Callable[[sa.Connection], dict[str, Any] | None]
) -> dict[str, Any] | None:
    """Change a destination and keep the audit record of it, both or neither; return what ``make`` does."""

    def change(connection: sa.Connection) -> dict[str, Any] | None:
        made = make(connection)
        if made is not None:
            own.tell(
                connection,
                org,
                action=action,
                kind=_KIND,
                target_id=made["metadata"]["id"],
                target_name=made["spec"]["name"],
                org_id=call.principal.org_id,
                by=call.principal.name,
                source_ip=call.source_ip,
                token_id=call.principal.token_id,
            )
        return made

    told: dict[str, Any] | None = await call.store.write(change)
    return told


_ONE = f"{_PATH}/{{destination_id}}"
OPERATIONS = (
    Operation(
        method="GET",
        path=_PATH,
        name="list_audit_destinations",
        about="List audit destinations.",
        scope=Scope.DESTINATIONS_READ,
        run=list_destinations,
        parameters=(
            LIMIT,
            ORG_ID,
            Parameter(name="destination_type", about="Only those of this type."),
            Parameter(name="name", about="Only the one of this name."),
            Parameter(name="external", about="By routing.external.", kind="boolean"),
            Parameter(name="search_params", about="Texts that all occur in it, in any case.", repeated=True),
            *PAGING,
        ),
        answers={200: "ListAuditDestinationsResponse"},
    ),
    Operation(
        method="POST",
        path=_PATH,
        name="create_audit_destination",
        about="Create an audit destination; 409 carries the one that has the name.",
        scope=Scope.DESTINATIONS_WRITE,
        run=create,
        body=_KIND,
        answers={201: _KIND, 409: _KIND},
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="get_audit_destination",
        about="Get an audit destination.",
        scope=Scope.DESTINATIONS_READ,
        run=get,
        parameters=(ORG_ID,),
        answers={200: _KIND, 404: "ErrorMessage"},
    ),
    Operation(
        method="PUT",
        path=_ONE,
        name="replace_audit_destination",
        about="Replace an audit destination; 409 when metadata.updated is given and not the stored one.",
        scope=Scope.DESTINATIONS_WRITE,
        run=replace,
        body=_KIND,
        answers={200: _KIND, 404: "ErrorMessage", 409: "ErrorMessage"},
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="delete_audit_destination",
        about="Delete an audit destination.",
        scope=Scope.DESTINATIONS_WRITE,
        run=delete,
        parameters=(ORG_ID,),
        answers={204: None, 404: "ErrorMessage"},
    ),
)
