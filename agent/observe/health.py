"""Is this agent doing its work? Judged by progress, not by being alive (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.observe.redact import mask_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.stats import AgentStats, LaneStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether events flow, and everything that speaks against it, a sentence each."""

    ready: bool
    reasons: tuple[str, ...] = ()


def readiness(stats: AgentStats, *, now: float, stalled_after: float) -> Readiness:
    """Judge ``stats`` at ``now`` (Unix seconds): ready means that nothing that waits has waited for too long.

    A lane is stalled when data waits in its sources and, for more than ``stalled_after`` seconds, neither the oldest
    of it was delivered nor anything else settled. Disabled lanes do not count.
    """
    reasons = tuple(_reasons(stats, now, stalled_after))
    return Readiness(ready=not reasons, reasons=reasons)


def _reasons(stats: AgentStats, now: float, stalled_after: float) -> Iterator[str]:
    if not stats.ready:
        yield "starting: the sources were not all looked at yet"
    if stats.state_error:
        yield f"state cannot be written: {mask_text(stats.state_error)}"
    problems = stats.control_plane.problems if stats.control_plane else []
    if plane := stats.control_plane:
        if not plane.known:
            yield f"control plane: no list of destinations yet{_because(plane.last_error)}"
        yield from (f"control plane: {mask_text(problem)}" for problem in problems)
    for name, lane in stats.lanes.items():
        if lane.state == "disabled":
            continue
        if lane.rejects_error:
            yield f"{name}: refused events cannot be written down: {mask_text(lane.rejects_error)}"
        if lane.state == "degraded":
            if f"{name}: {lane.last_error}" not in problems:  # said above
                yield f"{name}: degraded{_because(lane.last_error)}"
        elif (seconds := stalled_seconds(lane, now)) > stalled_after:
            waits = f"{lane.behind_bytes} bytes wait, nothing was settled for {seconds:.0f} s"
            yield f"{name}: {waits}{_because(lane.last_error)}"


def stalled_seconds(lane: LaneStats, now: float) -> float:
    """Return for how long data has waited while nothing was settled; 0 when the lane is caught up."""
    if lane.behind_bytes <= 0 or lane.oldest_undelivered_at is None:
        return 0.0
    return max(0.0, now - max(lane.oldest_undelivered_at, lane.last_progress_at or 0.0))


def _because(error: str | None) -> str:
    return f": {mask_text(error)}" if error else ""


def status_line(stats: AgentStats) -> str:
    """Return one line for a person: counts over all lanes, how far behind, and which lanes are in trouble."""
    lanes = [lane for lane in stats.lanes.values() if lane.state != "disabled"]
    parts = [
        f"{len(stats.sources)} sources, {len(lanes)} destinations",
        f"accepted {sum(lane.accepted for lane in lanes)}",
        f"behind {_size(sum(lane.behind_bytes for lane in lanes))}",
    ]
    if rejected := sum(lane.rejected.total() for lane in lanes):
        parts.append(f"rejected {rejected}")
    if lost := sum(source.lost_bytes for source in stats.sources.values()):
        parts.append(f"lost {_size(lost)}")
    parts.extend(f"{lane.destination} {lane.state}" for lane in lanes if lane.state in ("degraded", "backing_off"))
    if stats.state_error:
        parts.append(f"state: {mask_text(stats.state_error)}")
    if not stats.ready:
        parts.insert(0, "starting")
    return " ".join("; ".join(parts).split())


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
