"""The agent's counters in the shape of ``AgentConnectorDynamicStatsPublish`` (WIRE 9.1; pure)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.stats import AgentStats, LaneStats

DROPS = (
    "drop_build_authorization",
    "drop_authorization",
    "drop_invalid_format",
    "drop_congestion",
    "drop_timeout",
    "drop_rejected",
    "drop_down",
)
"""Why an event was finally given up. Events that still wait for a retry are not drops."""


def publish(stats: AgentStats, *, now: float) -> dict[str, object]:
    """Return the object to publish at ``now`` (Unix seconds); all counts are since the agent started.

    An event sent to three destinations counts once in ``total_events`` and three times over ``per_type_sent``.
    """
    lanes = stats.lanes.values()
    types: Counter[str] = Counter()
    for source in stats.sources.values():
        types.update(source.events_by_type)
    return {
        "connector_instance_id": stats.agent_id,
        "collection_time": _time(now),
        "audit_stats": {
            "audit_totals": {
                "destination_stats": _destination(lanes),
                "system_stats": {
                    "total_events": sum(source.events for source in stats.sources.values()),
                    "per_type_events": dict(types),
                    "total_dropped": sum(lane.rejected.total() for lane in lanes),
                },
            },
            "audit_destination_stats": [
                {"audit_destination_id": lane.destination_id or lane.destination, "audit_stats": _destination([lane])}
                for lane in lanes
            ],
        },
    }


def _destination(lanes: Iterable[LaneStats]) -> dict[str, object]:
    """Return ``PerDestination`` over ``lanes``."""
    lanes = list(lanes)
    sent: Counter[str] = Counter()
    drops = Counter(dict.fromkeys(DROPS, 0))
    for lane in lanes:
        sent.update(lane.accepted_by_type)
        drops.update(lane.rejected)
    detailed: dict[str, object] = {"per_type_sent": dict(sent), **drops}
    if times := [lane.last_accepted_at for lane in lanes if lane.last_accepted_at is not None]:
        detailed["last_sent_time"] = _time(max(times))
    return {
        "destination_summary_stats": {
            "total_sent": sum(lane.accepted for lane in lanes),
            "total_dropped": drops.total(),
        },
        "destination_detailed_stats": detailed,
    }


def _time(seconds: float) -> str:
    """Return RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
