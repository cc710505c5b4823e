"""Pages made of what agents report: the fleet, one agent, rejects."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.collector.pages.plot import Plot, plot
from agent.collector.pages.shown import duration, number
from agent.collector.reports import Lane, Refused, Seen, everyone, figures, find
from agent.collector.store import fleet

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.pages.render import Renderer
    from agent.collector.store import Store

SPANS = {"1h": 3600, "6h": 6 * 3600, "24h": 86_400, "7d": 7 * 86_400}
SILENT_SECONDS = 120
"""An agent that has not reported for so long is called silent."""
_PIECES = 120
_LEAST_PIECE_SECONDS = 60
"""Longer than agents take between two reports, so that none looks like a gap."""
_LATE_SECONDS = 60.0
_DURATIONS = (1, 2, 10, 20, 60, 120, 240, 600, 1200, 3600, 7200, 14_400, 43_200, 86_400, 2 * 86_400)
"""Round spans of time, halves of which are round, too."""
_NEWEST_REJECTS = 200
ORDER = {"trouble": 0, "silent": 1, "late": 2, "ok": 3}
"""The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An agent in a list."""

    seen: Seen
    health: str
    """``ok``, ``late``, ``trouble`` or ``silent``."""
    why: str
    ago: float
    lag_seconds: float
    behind_bytes: int
    sent: int
    dropped: int


async def fleet_page(request: Request, org_id: str) -> Response:
    """Show all agents, those in trouble first, and the rate and lag of all together."""
    rows = await agent_rows(request, org_id)
    span = _span(request)
    values = {
        "page": "agents",
        "rows": sorted(rows, key=lambda row: (ORDER[row.health], row.seen.report.agent_status.hostname)),
        "plots": await _plots(request, org_id, span),
        "span": span,
        "spans": list(SPANS),
    }
    return renderer(request).page("agents.html", values)


async def agent_page(request: Request, org_id: str) -> Response:
    """Show one agent: its destinations, its sources, its rate and lag."""
    agent_id = request.path_params["agent_id"]
    seen = await find(request.app.state.store, org_id, agent_id)
    if seen is None:
        return renderer(request).page("missing.html", {"page": "agents", "unique_id": agent_id}, status=404)
    row, span = _row(seen, time.time()), _span(request)
    values = {
        "page": "agents",
        "row": row,
        "status": seen.report.agent_status,
        "lanes": [(lane, lane_health(row, lane)) for lane in seen.report.agent_status.destinations],
        "plots": await _plots(request, org_id, span, agent_id=agent_id),
        "span": span,
        "spans": list(SPANS),
    }
    return renderer(request).page("agent.html", values)


async def rejects_page(request: Request, org_id: str) -> Response:
    """Show what destinations refused for good: counts by reason, and the newest."""
    counts: defaultdict[tuple[str, str], list[tuple[Row, int]]] = defaultdict(list)
    newest: list[tuple[Refused, Row]] = []
    for row in await agent_rows(request, org_id):
        status = row.seen.report.agent_status
        for lane in status.destinations:
            for counter, events in lane.rejected.items():
                if events:
                    counts[lane.name, counter].append((row, events))
        newest += [(refused, row) for refused in status.rejects]
    newest.sort(key=lambda pair: pair[0].time, reverse=True)
    values = {
        "page": "rejects",
        "counts": sorted(
            ((name, counter, sum(n for _row, n in rows), rows) for (name, counter), rows in counts.items()),
            key=lambda each: -each[2],
        ),
        "newest": newest[:_NEWEST_REJECTS],
    }
    return renderer(request).page("rejects.html", values)


def lane_health(row: Row, lane: Lane) -> str:
    """Judge one destination of one agent."""
    if row.health == "silent":
        return "silent"
    if lane.state in ("degraded", "backing_off"):
        return "trouble"
    return "late" if lane.lag_seconds > _LATE_SECONDS else "ok"


async def agent_rows(request: Request, org_id: str) -> list[Row]:
    """Return every agent of an organisation, judged."""
    now = time.time()
    return [_row(seen, now) for seen in await everyone(request.app.state.store, org_id)]


def _row(seen: Seen, now: float) -> Row:
    status, counted = seen.report.agent_status, figures(seen.report)
    ago = max(0.0, now - seen.seen_at)
    lag = max((lane.lag_seconds for lane in status.destinations), default=0.0)
    troubled = [lane for lane in status.destinations if lane.state in ("degraded", "backing_off")]
    health, why = "ok", ""
    if ago > SILENT_SECONDS:
        health, why = "silent", f"nothing heard for {duration(ago)}"
    elif troubled or not status.ready:
        health = "trouble"
        why = "; ".join(status.reasons) or f"{troubled[0].name}: {troubled[0].last_error or troubled[0].state}"
    elif lag > _LATE_SECONDS:
        health, why = "late", f"{duration(lag)} behind"
    return Row(
        seen=seen,
        health=health,
        why=why,
        ago=ago,
        lag_seconds=lag,
        behind_bytes=counted.behind_bytes,
        sent=counted.sent,
        dropped=counted.dropped,
    )


async def _plots(request: Request, org_id: str, span: str, *, agent_id: str | None = None) -> list[Plot]:
    """Return the plots of rate and lag over the chosen span."""
    store: Store = request.app.state.store
    length = SPANS[span]
    pieces = min(_PIECES, length // _LEAST_PIECE_SECONDS)
    step = length / pieces
    start = time.time() - length

    def query(connection: sa.Connection) -> list[fleet.Point]:
        org = store.orgs.find(connection, org_id)
        if org is None:
            return []
        return fleet.history(connection, org, since=int(start * 1e6), step=int(step * 1e6), agent_id=agent_id)

    rates: list[float | None] = [None] * pieces
    lags: list[float | None] = [None] * pieces
    for point in await store.read(query):
        piece = min(pieces - 1, round((point.at / 1e6 - start) / step))
        rates[piece], lags[piece] = point.sent / step, point.lag_ms / 1000
    return [
        plot("Delivered", "rate", rates, start=start, step=step, words=lambda value: f"{number(value)}/s"),
        plot("Lag", "lag", lags, start=start, step=step, words=duration, tops=_DURATIONS),
    ]


def _span(request: Request) -> str:
    span = request.query_params.get("span", "1h")
    return span if span in SPANS else "1h"


def renderer(request: Request) -> Renderer:
    """Return what draws the pages."""
    found: Renderer = request.app.state.renderer
    return found
