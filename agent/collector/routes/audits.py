"""``list_audits`` and ``list_auth_records``: the records among the events that were ingested (WIRE 1.2 to 1.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.api.dates import DateError, moment
from agent.collector.access.principal import Scope
from agent.collector.routes.operation import Operation, RefusedError, answer
from agent.collector.routes.parameters import LIMIT, ORG_ID, PAGING, Parameter
from agent.collector.store import audits
from agent.collector.store.expression import Expression, ExpressionError
from agent.collector.store.paging import PageError, paging
from agent.collector.store.records import MAX_CHARACTERS, microseconds

if TYPE_CHECKING:
    from starlette.responses import Response

    from agent.collector.routes.operation import Call

_RENAMED = {"session_id": "session"}
_AUDIT_EQUAL = ("user_id", "action", "target_id", "token_id", "api_name", "target_resource_type")
_AUTH_EQUAL = (
    *("user_id", "session_id", "trace_id", "upstream_user_id", "upstream_idp", "login_org_id", "source_ip"),
    *("client_id", "event", "stage", "request_id", "result", "event_name"),
)
_ATTRIBUTES = ("attribute_type", "attribute_id", "attribute_org_id")


async def list_audits(call: Call) -> Response:
    """Answer with a page of records of changes."""
    given = call.parameters
    attribute: list[tuple[str, tuple[str, ...]]] = [
        (name, (_cut(given[name]),)) for name in _ATTRIBUTES if given[name] is not None
    ]
    attribute += [
        (name.removesuffix("_list"), tuple(map(_cut, given[name])))
        for name in ("attribute_type_list", "attribute_id_list")
        if given[name]
    ]
    wanted = _wanted(call, _AUDIT_EQUAL, attribute=tuple(attribute), behind=given["resources_behind_connector_id"])
    return await _page(call, audits.AUDIT_RECORDS, wanted, "audits")


async def list_auth_records(call: Call) -> Response:
    """Answer with a page of records of authentication."""
    return await _page(call, audits.AUTH_RECORDS, _wanted(call, _AUTH_EQUAL), "auth_audits")


async def _page(call: Call, kind: audits.Kind, wanted: audits.Wanted, member: str) -> Response:
    given = call.parameters
    limit: int = given["limit"]
    try:
        page = paging(
            kind.fields,
            page_on=given["page_on"],
            default=("time",),
            page_sort=given["page_sort"],
            page_at_key=given["page_at_key"],
            backwards=given["search_direction"] == "backwards",
        )
        org = await call.org()
        rows, info = await call.store.read(
            lambda connection: audits.page(connection, org, kind, page, wanted, limit=limit)
        )
    except PageError as error:
        raise RefusedError(400, "paging", str(error)) from error
    except audits.SlowError as error:
        raise RefusedError(400, "expression", str(error)) from error
    body: dict[str, Any] = {"limit": limit, member: rows}
    return answer(body | ({"page_info": info} if info else {}))


def _wanted(call: Call, names: tuple[str, ...], **more: Any) -> audits.Wanted:  # noqa: ANN401 # further members
    given = call.parameters
    equal = {_RENAMED.get(name, name): _cut(given[name]) for name in names if given[name] is not None}
    if not call.own_org():
        # Never another organisation's events; among one's own there may be records that name one.
        equal["org_id"] = _cut(given["org_id"])
    now = datetime.now(UTC)
    try:
        times = [moment(given[name] or "", now=now) for name in ("dt_from", "dt_to")]
    except DateError as error:
        raise RefusedError(400, "date", f"dt_from or dt_to: {error}") from error
    try:
        expression = Expression(given["cel_expression"]) if given["cel_expression"] is not None else None
    except ExpressionError as error:
        raise RefusedError(400, "expression", f"cel_expression: {error}") from error
    time_from, time_to = (None if one is None else microseconds(one) for one in times)
    return audits.Wanted(equal=equal, time_from=time_from, time_to=time_to, expression=expression, **more)


def _cut(value: str) -> str:
    return value[:MAX_CHARACTERS]


def _texts(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name=name, about=f"Only records whose {name.replace('_', ' ')} this is.") for name in names)


_COMMON = (
    LIMIT,
    ORG_ID,
    Parameter(name="dt_from", about="Not before: now, today, now-1day, '6 months ago', RFC 3339; empty: no bound."),
    Parameter(name="dt_to", about="Before; as dt_from."),
    Parameter(name="cel_expression", about="A predicate over the record, in the Common Expression Language."),
    *PAGING,
)
OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/audits",
        name="list_audits",
        about="List records of changes, newest first unless page_sort says otherwise.",
        scope=Scope.AUDITS_READ,
        run=list_audits,
        parameters=(
            *_COMMON,
            *_texts(*_AUDIT_EQUAL, *_ATTRIBUTES),
            Parameter(
                name="resources_behind_connector_id", about="Only records that came through this agent, or name it."
            ),
            Parameter(name="attribute_type_list", about="Types of which an attribute has one.", repeated=True),
            Parameter(name="attribute_id_list", about="Ids of which an attribute has one.", repeated=True),
        ),
        answers={200: "ListAuditsResponse"},
    ),
    Operation(
        method="GET",
        path="/v1/auth_audits",
        name="list_auth_records",
        about="List records of authentication, newest first unless page_sort says otherwise.",
        scope=Scope.AUDITS_READ,
        run=list_auth_records,
        parameters=(*_COMMON, *_texts(*_AUTH_EQUAL)),
        answers={200: "ListAuthAuditsResponse"},
    ),
)
