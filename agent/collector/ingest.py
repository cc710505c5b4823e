"""``POST /v1/bulk_audit_events``: one request → a lasting answer for each of its events (WIRE 4.1, 4.2)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from starlette.responses import Response

from agent.collector.store import StoreError
from agent.receive.body import BodyError, read_body
from agent.receive.envelope import Bulk, EnvelopeError, parse
from agent.receive.guard import problem, refusal
from agent.receive.limits import OverloadedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from agent.collector.settings import Settings
    from agent.collector.store import Store
    from agent.receive.limits import Budget

log = structlog.get_logger(__name__)


async def ingest(request: Request) -> Response:
    """Store what is valid, refuse the rest; nothing is acknowledged before it is durable."""
    settings: Settings = request.app.state.settings
    store: Store = request.app.state.store
    if (refused := refusal(request, tokens=settings.tokens)) is not None:
        return refused
    budget: Budget = request.app.state.budget
    try:
        with budget.request() as take:
            bulk = parse(await read_body(request, settings, take=take), max_events=settings.max_events)
            duplicates = await store.put(bulk.rows)
    except BodyError as error:
        # There may be more to come of it, which is no next request.
        return problem(error.status, "body", error.reason, {"Connection": "close"})
    except EnvelopeError as error:
        return problem(400, "envelope", str(error))
    except OverflowError as error:
        return problem(413, "events", str(error))
    except OverloadedError:
        return problem(429, "overloaded", "more is waiting to be stored than may wait", _retry_after(1, 4))
    except StoreError as error:
        return problem(503, "storage", f"nothing was stored: {error}", _retry_after(2, 8))
    log.debug("events_stored", events=len(bulk.rows), duplicates=len(duplicates), invalid=len(bulk.invalid))
    return Response(msgspec.json.encode(_processed(bulk, duplicates)), 201, media_type="application/json")


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


def _retry_after(low: int, high: int) -> dict[str, str]:
    # Jittered, so that senders do not come back all at once.
    return {"Retry-After": str(random.randint(low, high))}  # noqa: S311 # no secret
