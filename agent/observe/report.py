"""What an agent tells a collector of itself: the published statistics, and how it is now (WIRE 9; pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.observe.health import readiness
from agent.observe.redact import mask_text
from agent.observe.wire_stats import publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.model import DestinationConfig
    from agent.lane.rejects import Reject
    from agent.stats import AgentStats, LaneStats, SourceStats

MOST = 200
"""Sources, destinations and reasons in one report."""
MOST_CHARACTERS = 500


def report(
    stats: AgentStats,
    *,
    now: float,
    hostname: str,
    stalled_after: float,
    destinations: Sequence[DestinationConfig],
    rejects: Sequence[Reject],
) -> dict[str, object]:
    """Return ``AgentConnectorDynamicStatsPublish`` with one member more, ``agent_status``; no event is in it.

    ``now`` is in unix seconds; of ``rejects`` only id and reason are told.
    """
    found = readiness(stats, now=now, stalled_after=stalled_after)
    configured = {each.name: each for each in destinations}
    return {
        **publish(stats, now=now),
        "agent_status": {
            "version": stats.version,
            "hostname": hostname,
            "started_at": stats.started_at,
            "ready": found.ready,
            "reasons": [_short(reason) for reason in found.reasons[:MOST]],
            "sources": [_source(source) for source in list(stats.sources.values())[:MOST]],
            "destinations": [
                _destination(lane, configured.get(lane.destination), now) for lane in list(stats.lanes.values())[:MOST]
            ],
            "rejects": [_reject(each) for each in rejects],
        },
    }


def _source(source: SourceStats) -> dict[str, object]:
    return {
        "name": source.source,
        "files": source.files,
        "events": source.events,
        "bytes": source.bytes,
        "parse_errors": source.parse_errors,
        "lost_bytes": source.lost_bytes,
        "last_error": _short(source.last_error),
    }


def _destination(lane: LaneStats, config: DestinationConfig | None, now: float) -> dict[str, object]:
    oldest = lane.oldest_undelivered_at
    return {
        "name": lane.destination,
        "id": lane.destination_id,
        "type": config.destination_type if config else "",
        # What follows the "?" of an address is often a key.
        "location": _short(config.location.partition("?")[0]) if config else "",
        "state": lane.state,
        "accepted": lane.accepted,
        "filtered": lane.filtered,
        "rejected": dict(lane.rejected),
        "behind_bytes": max(0, lane.behind_bytes),
        "lag_seconds": max(0.0, now - oldest) if oldest is not None and lane.behind_bytes > 0 else 0.0,
        "last_accepted_at": lane.last_accepted_at,
        "last_error": _short(lane.last_error) if lane.state in ("degraded", "backing_off") else None,
    }


def _reject(reject: Reject) -> dict[str, object]:
    return {
        "time": reject.time,
        "destination": reject.destination,
        "unique_id": reject.unique_id,
        "counter": reject.counter,
        "reason": _short(reject.reason),
        "status": reject.status,
    }


def _short(text: str | None) -> str | None:
    return None if text is None else mask_text(text)[:MOST_CHARACTERS]
