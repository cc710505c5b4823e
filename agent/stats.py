"""Counters of a running agent, as plain numbers: written by the pipeline per chunk, read by metrics, /stats, status.

The invariant of a lane, asserted by tests and shown as a metric::

    read == accepted + filtered + rejected + in_flight
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class LaneStats:
    """What one destination's lane has done since the agent started. Counts are events unless the name says bytes."""

    destination: str
    destination_id: str = ""
    state: str = "starting"
    """``starting``, ``idle``, ``sending``, ``backing_off`` (not now), ``degraded`` (this destination), ``stopped``."""
    read: int = 0
    accepted: int = 0
    filtered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """By drop counter of WIRE 9.1: ``drop_rejected``, ``drop_invalid_format``, …"""
    accepted_by_type: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    """Attempts by result: ``accepted``, ``partial``, ``rejected``, ``not_now``, ``destination``, ``too_large``,
    ``poison``, ``raised``."""
    accepted_bytes: int = 0
    wanted_again: int = 0
    """Times an event was wanted again while the destination took others of its request."""
    deferred: int = 0
    """Events that were wanted again and wait aside now, or are on their way again."""
    anomalies: int = 0
    """Answers that contradict the request: unknown ids, the same id in several lists (WIRE 4.4)."""
    queue_bytes: int = 0
    queue_max_bytes: int = 0
    behind_bytes: int = 0
    """Bytes of the sources this lane has not settled; refreshed when somebody asks."""
    oldest_undelivered_at: float | None = None
    """Unix seconds at which the oldest undelivered byte was first seen, None when the lane is caught up."""
    last_accepted_at: float | None = None
    last_progress_at: float | None = None
    """Unix seconds of the last time anything was settled."""
    retry_at: float | None = None
    """Unix seconds before which nothing is sent (Retry-After or back-off), None when nothing is waited for."""
    last_error: str | None = None
    rejects_error: str | None = None
    """Why refused events cannot be written down now; while it is set none of them is settled."""

    @property
    def in_flight(self) -> int:
        """Events read and not yet settled."""
        return self.read - self.accepted - self.filtered - self.rejected.total()


@dataclass(slots=True)
class SourceStats:
    """What one source has seen. ``events`` counts each line once, however many lanes read it."""

    source: str
    files: int = 0
    streams: int = 0
    open_files: int = 0
    events: int = 0
    bytes: int = 0
    parse_errors: int = 0
    truncated_lines: int = 0
    lost_bytes: int = 0
    """Bytes that vanished before a lane read them; each loss is also an ERROR log line with its byte range."""
    events_by_type: Counter[str] = field(default_factory=Counter)
    spool_bytes: int = 0
    """On disk, kept until every lane has it."""
    spool_max_bytes: int = 0
    refused_requests: int = 0
    """Answered 429, because the spool is full or too much comes at a time."""
    last_error: str | None = None


@dataclass(slots=True)
class ControlPlaneStats:
    """What is known of the API's list of destinations."""

    known: bool = False
    """There is a list: fetched, or kept from an earlier run."""
    destinations: int = 0
    """Destinations of the list that can be run."""
    fetched_at: float | None = None
    """Unix seconds of the last time the list was had, None when not since the start."""
    failures: int = 0
    """Looks at the list that failed."""
    last_error: str | None = None
    """Why the newest look failed, None when it did not."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with single destinations of the list, a sentence each."""


@dataclass(slots=True)
class AgentStats:
    """Everything a running agent knows of itself."""

    agent_id: str
    version: str
    started_at: float
    sources: dict[str, SourceStats] = field(default_factory=dict)
    lanes: dict[str, LaneStats] = field(default_factory=dict)
    control_plane: ControlPlaneStats | None = None
    """None when no destinations come from the API."""
    state_errors: int = 0
    """Commits of state.db or of rejects that failed; while the newest one failed the agent is not ready."""
    state_error: str | None = None
    rejects_dropped: Counter[str] = field(default_factory=Counter)
    """By destination: refused events that the bound on rejects has cost; each loss is also an ERROR log line."""
    rejects_replayed: dict[tuple[str, str], int] = field(default_factory=dict)
    """By destination and outcome (``accepted``, ``refused``): rejects that were sent again by the command."""
    config_reloads: Counter[str] = field(default_factory=Counter)
    """By result: ``applied``, ``refused``."""
    ready: bool = False
    """Every source was looked at once and the lanes have begun."""
