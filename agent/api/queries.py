"""What may be asked of the lists (WIRE 1.2, 1.3): every filter, checked before anything is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from agent.api.dates import wire
from agent.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from agent.api.session import Parameters

MOST_ROWS = 500
"""Of a page, as the server allows."""
MOST_EXPRESSION = 1024
_DATES = frozenset({"dt_from", "dt_to"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How a list is cut into pages; ``page_at_key`` is where a first page begins, if not at the start."""

    limit: int = MOST_ROWS
    page_on: tuple[str, ...] = ()
    page_at_key: tuple[str | None, ...] = ()
    page_sort: tuple[str, ...] = ()
    search_direction: Literal["forwards", "backwards"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationQuery:
    """Filters of destinations."""

    org_id: str | None = None
    destination_type: str | None = None
    name: str | None = None
    external: bool | None = None
    search_params: tuple[str, ...] = ()
    """Texts that must all be contained somewhere, whatever their case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Filters of the records of changes through the API."""

    user_id: str | None = None
    dt_from: str | None = None
    dt_to: str | None = None
    action: str | None = None
    target_id: str | None = None
    token_id: str | None = None
    api_name: str | None = None
    target_resource_type: str | None = None
    org_id: str | None = None
    attribute_type: str | None = None
    attribute_id: str | None = None
    attribute_org_id: str | None = None
    resources_behind_connector_id: str | None = None
    attribute_type_list: tuple[str, ...] = ()
    attribute_id_list: tuple[str, ...] = ()
    cel_expression: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthAuditQuery:
    """Filters of the records of authentication."""

    user_id: str | None = None
    dt_from: str | None = None
    dt_to: str | None = None
    org_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    upstream_user_id: str | None = None
    upstream_idp: str | None = None
    login_org_id: str | None = None
    source_ip: str | None = None
    client_id: str | None = None
    event: str | None = None
    stage: str | None = None
    request_id: str | None = None
    result: str | None = None
    event_name: str | None = None
    cel_expression: str | None = None


Query = DestinationQuery | AuditQuery | AuthAuditQuery


def parameters(query: Query, *, now: datetime) -> Parameters:
    """Return the filters as parameters; what is None or an empty tuple is left out, an empty text is not.

    Dates become moments in RFC 3339: counted from ``now`` once, not anew for each page. Raises ``UsageError``.
    """
    found: Parameters = []
    for each in fields(query):
        value = getattr(query, each.name)
        if isinstance(value, tuple):
            found += [(each.name, item) for item in value]
        elif isinstance(value, bool):
            found.append((each.name, "true" if value else "false"))
        elif value is not None:
            found.append((each.name, _checked(each.name, value, now)))
    return found


def page_parameters(paging: Paging) -> Parameters:
    """Return the paging of a first page as parameters. Raises ``UsageError``."""
    if not 1 <= paging.limit <= MOST_ROWS:
        raise UsageError(f"limit: found {paging.limit}; allowed: 1 to {MOST_ROWS}")
    if len(paging.page_sort) > max(1, len(paging.page_on)) or set(paging.page_sort) - {"asc", "desc"}:
        raise UsageError("page_sort: found more than page_on, or another word; allowed: asc or desc for each page_on")
    if paging.page_at_key and len(paging.page_at_key) != len(paging.page_on):
        raise UsageError("page_at_key: found another number of values than page_on; allowed: one for each")
    found: Parameters = [("limit", str(paging.limit))]
    found += [("page_on", name) for name in paging.page_on]
    found += at_key(paging.page_at_key)
    found += [("page_sort", order) for order in paging.page_sort]
    if paging.search_direction is not None:
        found.append(("search_direction", paging.search_direction))
    return found


def at_key(values: tuple[str | None, ...]) -> Parameters:
    """Return the key of a row as parameters; a query string has no null but the word."""
    return [("page_at_key", "null" if value is None else value) for value in values]


def _checked(name: str, value: str, now: datetime) -> str:
    if name in _DATES:
        try:
            return wire(value, now=now)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    if name == "cel_expression" and len(value) > MOST_EXPRESSION:
        raise UsageError(f"{name}: found {len(value)} characters; allowed: at most {MOST_EXPRESSION}")
    return value
