"""The list of events, newest first: search, older pages, and what is new since."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agent.collector.pages.asked import PAGE, RANGES, TYPES, Asked, asked
from agent.collector.pages.lines import line
from agent.collector.store.search import Found, search

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.pages.render import Renderer
    from agent.collector.store import Store
    from agent.collector.store.search import Wanted

MOST_NEW = 50


async def listing(request: Request, org_id: str) -> Response:
    """Show the events that were asked for."""
    query = asked(request.query_params)
    before = _number(request.query_params.get("before"))
    found = await _search(request, org_id, query, query.wanted(time.time(), before=before), limit=PAGE)
    newest = found.hits[0].number if found.hits and before is None else 0
    renderer: Renderer = request.app.state.renderer
    return renderer.page(
        "events.html",
        {
            "page": "events",
            "asked": query,
            "types": TYPES,
            "ranges": RANGES,
            "lines": [line(hit) for hit in found.hits],
            "looked_at": found.looked_at,
            "older": f"/events?{query.address(before=found.last)}" if found.last else None,
            "is_live": before is None and not query.until,
            "newest": newest,
            "later": before is not None,
            "here": query.address(),
        },
    )


async def newer(request: Request, org_id: str) -> Response:
    """Answer with the lines that came after ``after``, for the script to put on top."""
    query = asked(request.query_params)
    after = _number(request.query_params.get("after")) or 0
    found = await _search(request, org_id, query, query.wanted(time.time(), after=after), limit=MOST_NEW)
    renderer: Renderer = request.app.state.renderer
    return renderer.part(
        "lines.html",
        {"lines": [line(hit) for hit in found.hits]},
        headers={"X-Newest": str(found.hits[0].number if found.hits else after), "X-Count": str(len(found.hits))},
    )


async def _search(request: Request, org_id: str, query: Asked, wanted: Wanted, *, limit: int) -> Found:
    store: Store = request.app.state.store

    def run(connection: sa.Connection) -> Found:
        org = store.orgs.find(connection, org_id)
        if org is None:
            return Found(hits=[], looked_at=0, last=None)
        return search(connection, org, wanted, accept=query.accept(), limit=limit)

    return await store.read(run)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None
