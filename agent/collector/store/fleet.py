"""What agents report of themselves: the newest report of each, and samples for plots (WIRE 9).

Each function takes a connection and the organisation's number. Times are microseconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from agent.collector.store.tables import AGENT_REPORTS, AGENT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

_R, _S = AGENT_REPORTS.c, AGENT_SAMPLES.c

SAMPLES_KEPT_MICROSECONDS = 8 * 86_400 * 1_000_000
MOST_AGENTS = 200_000
"""Of one organisation: whoever may report may not fill the disk with names."""


class TooManyAgentsError(Exception):
    """An organisation has as many agents as it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a report says in numbers; ``sent`` and ``dropped`` since the agent started."""

    started: str
    sent: int
    dropped: int
    lag_ms: int
    behind_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One piece of time, over all agents asked about: events, the worst lag, the bytes not sent yet."""

    at: int
    sent: int
    dropped: int
    lag_ms: int
    behind_bytes: int


def latest(connection: sa.Connection, org: int, *, limit: int = 1000) -> Sequence[sa.Row[str, int, bytes]]:
    """Return (agent_id, seen_at, report) of the organisation's agents, by id."""
    query = sa.select(_R.agent_id, _R.seen_at, _R.report).where(_R.org == org)
    return connection.execute(query.order_by(_R.agent_id).limit(limit)).all()


def report_of(connection: sa.Connection, org: int, agent_id: str) -> tuple[int, bytes] | None:
    """Return (seen_at, report) of one agent."""
    query = sa.select(_R.seen_at, _R.report).where(_R.org == org, _R.agent_id == agent_id)
    found = connection.execute(query).first()
    return (found.seen_at, bytes(found.report)) if found else None


def put(
    connection: sa.Connection,
    org: int,
    agent_id: str,
    *,
    now: int,
    report: bytes,
    figures: Figures,
    before: Figures | None,
) -> None:
    """Keep a report as the agent's newest, and what it adds to ``before`` as a sample.

    Raises ``TooManyAgentsError`` for a new agent that is one too many.
    """
    known = connection.execute(
        sa.update(AGENT_REPORTS).where(_R.org == org, _R.agent_id == agent_id).values(seen_at=now, report=report)
    ).rowcount
    if not known:
        count = connection.execute(sa.select(sa.func.count()).select_from(AGENT_REPORTS).where(_R.org == org)).scalar()
        if (count or 0) >= MOST_AGENTS:
            raise TooManyAgentsError
        connection.execute(sa.insert(AGENT_REPORTS).values(org=org, agent_id=agent_id, seen_at=now, report=report))
    same = sa.and_(_S.org == org, _S.agent_id == agent_id)
    connection.execute(sa.delete(AGENT_SAMPLES).where(same, _S.at < now - SAMPLES_KEPT_MICROSECONDS))
    connection.execute(sa.delete(AGENT_SAMPLES).where(same, _S.at == now))
    again = before is not None and before.started == figures.started
    connection.execute(
        sa.insert(AGENT_SAMPLES).values(
            org=org,
            agent_id=agent_id,
            at=now,
            # A restarted agent counts from nothing; what it sent before its first report here is no rate.
            sent=max(0, figures.sent - before.sent) if before and again else (figures.sent if before else 0),
            dropped=max(0, figures.dropped - before.dropped)
            if before and again
            else (figures.dropped if before else 0),
            lag_ms=figures.lag_ms,
            behind_bytes=figures.behind_bytes,
        )
    )


def history(connection: sa.Connection, org: int, *, since: int, step: int, agent_id: str | None = None) -> list[Point]:
    """Return what happened since ``since``, in pieces of ``step`` microseconds, of one agent or of all together."""
    own = _S.org == org if agent_id is None else sa.and_(_S.org == org, _S.agent_id == agent_id)
    piece = (_S.at - since) // step
    each = (
        sa.select(
            piece.label("piece"),
            sa.func.sum(_S.sent).label("sent"),
            sa.func.sum(_S.dropped).label("dropped"),
            sa.func.max(_S.lag_ms).label("lag_ms"),
            sa.func.max(_S.behind_bytes).label("behind_bytes"),
        )
        .where(own, _S.at >= since)
        .group_by(_S.agent_id, sa.text("piece"))
        .subquery()
    )
    query = (
        sa.select(
            each.c.piece,
            sa.func.sum(each.c.sent),
            sa.func.sum(each.c.dropped),
            sa.func.max(each.c.lag_ms),
            sa.func.sum(each.c.behind_bytes),
        )
        .group_by(each.c.piece)
        .order_by(each.c.piece)
    )
    return [
        Point(at=since + int(n) * step, sent=int(sent), dropped=int(dropped), lag_ms=int(lag), behind_bytes=int(behind))
        for n, sent, dropped, lag, behind in connection.execute(query)
    ]
