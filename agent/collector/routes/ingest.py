"""``POST /v1/bulk_audit_events``: one request → a lasting answer for each of its events (WIRE 4.1, 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from agent.collector.access.principal import Scope
from agent.collector.routes.operation import Operation, RefusedError, answer
from agent.receive.body import read_body
from agent.receive.envelope import Bulk, EnvelopeError, parse

if TYPE_CHECKING:
    from starlette.responses import Response

    from agent.collector.routes.operation import Call

log = structlog.get_logger(__name__)


async def ingest(call: Call) -> Response:
    """Store what is valid, refuse the rest; nothing is acknowledged before it is durable."""
    try:
        with call.budget.request() as take:
            body = await read_body(call.request, call.settings, take=take)
            bulk = parse(body, max_events=call.settings.max_events)
            duplicates = await call.store.put(bulk.rows, org_id=call.principal.org_id)
    except EnvelopeError as error:
        raise RefusedError(400, "envelope", str(error)) from error
    except OverflowError as error:
        raise RefusedError(413, "events", str(error)) from error
    log.debug("events_stored", events=len(bulk.rows), duplicates=len(duplicates), invalid=len(bulk.invalid))
    return answer(_processed(bulk, duplicates), 201)


def _processed(bulk: Bulk, duplicates: list[str]) -> dict[str, Any]:
    """Return the answer: in no list means done, so only what needs saying is listed."""
    done = [{"unique_id": name, "status": "duplicate"} for name in duplicates]
    # An id that was also refused is named as stored, else the refusal would count for both (WIRE 4.4, 4).
    unclear = {name for name, _ in bulk.invalid}
    if bulk.list_all or unclear:
        left = set(duplicates)
        done += [
            {"unique_id": row.unique_id, "status": "success"}
            for row in bulk.rows
            if row.unique_id not in left and (bulk.list_all or row.unique_id in unclear)
        ]
    refused = [{"unique_id": name, "status": "invalid", "status_message": why} for name, why in bulk.invalid]
    return {"success_events": done, "discard_events": refused, "retry_events": []}


INGEST = Operation(
    method="POST",
    path="/v1/bulk_audit_events",
    name="bulk_create_events",
    about="Store audit events, each once. What the answer acknowledges is on disk.",
    scope=Scope.EVENTS_WRITE,
    run=ingest,
    body="AuditWebhookBulkEvent",
    answers={201: "AuditWebhookEventsProcessed"},
)
