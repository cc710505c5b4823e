"""The agent's counters in the Prometheus text format: plain numbers become samples only when somebody asks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from agent.observe.wire_stats import DROPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client.core import Metric

    from agent.stats import AgentStats, LaneStats, SourceStats

PREFIX = "audit_agent_"
STATES = ("starting", "idle", "sending", "backing_off", "degraded", "stopped", "disabled")
RESULTS = ("accepted", "partial", "rejected", "not_now", "destination", "too_large", "poison", "raised")


class LaneRow(NamedTuple):
    """One metric of every destination."""

    name: str
    help: str
    value: Callable[[LaneStats, float], float]


class SourceRow(NamedTuple):
    """One metric of every source."""

    name: str
    help: str
    value: Callable[[SourceStats], float]


LANE_COUNTERS = (
    LaneRow("events_read", "Events read; always accepted + filtered + rejected + in flight.", lambda s, _: s.read),
    LaneRow("events_accepted", "Events the destination has taken.", lambda s, _: s.accepted),
    LaneRow("events_filtered", "Events the destination's filters left out.", lambda s, _: s.filtered),
    LaneRow(
        "events_wanted_again",
        "Times an event was wanted again while others of its request were taken.",
        lambda s, _: s.wanted_again,
    ),
    LaneRow("delivered_bytes", "Bytes of the events the destination has taken.", lambda s, _: s.accepted_bytes),
    LaneRow("answer_anomalies", "Answers that contradict their request.", lambda s, _: s.anomalies),
)
LANE_GAUGES = (
    LaneRow("events_in_flight", "Events read and not yet settled.", lambda s, _: s.in_flight),
    LaneRow(
        "events_deferred",
        "Events wanted again that wait aside now, or are on their way again.",
        lambda s, _: s.deferred,
    ),
    LaneRow("lag_bytes", "Bytes of the sources that are not settled.", lambda s, _: s.behind_bytes),
    LaneRow(
        "oldest_undelivered_age_seconds",
        "Age of the oldest byte that is not settled; 0 when caught up.",
        lambda s, now: max(0.0, now - s.oldest_undelivered_at) if s.oldest_undelivered_at is not None else 0.0,
    ),
    LaneRow(
        "retry_wait_seconds",
        "Seconds until the destination is tried again; 0 when nothing is waited for.",
        lambda s, now: max(0.0, s.retry_at - now) if s.retry_at is not None else 0.0,
    ),
    LaneRow(
        "last_accepted_timestamp_seconds",
        "Unix time at which the destination last took an event; 0 when never.",
        lambda s, _: s.last_accepted_at or 0.0,
    ),
    LaneRow("queue_bytes", "Bytes of events held in memory.", lambda s, _: s.queue_bytes),
    LaneRow("queue_limit_bytes", "Bytes of events that may be held in memory.", lambda s, _: s.queue_max_bytes),
    LaneRow(
        "rejects_unwritable",
        "1 while refused events cannot be written down.",
        lambda s, _: 1.0 if s.rejects_error else 0.0,
    ),
)
SOURCE_COUNTERS = (
    SourceRow("source_events", "Events found, each once however many destinations read it.", lambda s: s.events),
    SourceRow("source_bytes", "Bytes read.", lambda s: s.bytes),
    SourceRow(
        "source_parse_errors", "Lines that do not parse; they are shipped as raw text.", lambda s: s.parse_errors
    ),
    SourceRow("source_truncated_lines", "Lines cut at max_line_bytes.", lambda s: s.truncated_lines),
    SourceRow("source_refused_requests", "Requests answered 429.", lambda s: s.refused_requests),
    SourceRow("source_lost_bytes", "Bytes that vanished before they were read.", lambda s: s.lost_bytes),
)
SOURCE_GAUGES = (
    SourceRow("source_files", "Files that match.", lambda s: s.files),
    SourceRow("source_streams", "Streams known.", lambda s: s.streams),
    SourceRow("source_open_files", "Files held open.", lambda s: s.open_files),
    SourceRow("source_spool_bytes", "Bytes in the spool.", lambda s: s.spool_bytes),
    SourceRow("source_spool_limit_bytes", "Bytes the spool may hold.", lambda s: s.spool_max_bytes),
)


def exposition(stats: AgentStats, *, now: float | None = None) -> tuple[bytes, str]:
    """Return the text of ``/metrics`` and its content type; ages are as of ``now`` (Unix seconds)."""
    registry = CollectorRegistry()
    registry.register(_AgentCollector(stats, time.time() if now is None else now))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _AgentCollector(Collector):
    """Turns one look at the counters into metric families."""

    def __init__(self, stats: AgentStats, now: float) -> None:
        self._stats = stats
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from self._of_agent()
        yield from self._of_lanes()
        yield from self._of_sources()

    def _of_agent(self) -> Iterator[Metric]:
        stats = self._stats
        info = GaugeMetricFamily(PREFIX + "build_info", "The version that runs.", labels=["version"])
        info.add_metric([stats.version], 1)
        yield info
        yield _gauge("start_time_seconds", "Unix time at which the agent started.", stats.started_at)
        yield _gauge("started", "1 once every source was looked at.", float(stats.ready))
        yield _gauge("state_unwritable", "1 while state.db cannot be written.", 1.0 if stats.state_error else 0.0)
        yield CounterMetricFamily(PREFIX + "state_errors", "Writes of the state that failed.", value=stats.state_errors)
        reloads = CounterMetricFamily(PREFIX + "config_reloads", "Configurations read again.", labels=["result"])
        _add(reloads, [], {**dict.fromkeys(("applied", "refused"), 0), **stats.config_reloads})
        yield reloads
        yield from self._of_control_plane()

    def _of_control_plane(self) -> Iterator[Metric]:
        plane = self._stats.control_plane
        if plane is None:
            return
        yield _gauge("control_plane_destinations", "Usable destinations of the API's list.", plane.destinations)
        yield _gauge("control_plane_unusable", "Destinations of the list that cannot be run.", len(plane.problems))
        yield _gauge(
            "control_plane_last_fetch_timestamp_seconds",
            "Unix time at which the list was last had; 0 when not since the start.",
            plane.fetched_at or 0.0,
        )
        yield CounterMetricFamily(
            PREFIX + "control_plane_failures", "Looks at the API's list that failed.", value=plane.failures
        )

    def _of_lanes(self) -> Iterator[Metric]:
        lanes = self._stats.lanes.values()
        for row in LANE_COUNTERS:
            counter = CounterMetricFamily(PREFIX + row.name, row.help, labels=["destination"])
            for lane in lanes:
                counter.add_metric([lane.destination], row.value(lane, self._now))
            yield counter
        for row in LANE_GAUGES:
            gauge = GaugeMetricFamily(PREFIX + row.name, row.help, labels=["destination"])
            for lane in lanes:
                gauge.add_metric([lane.destination], row.value(lane, self._now))
            yield gauge
        rejected = _lane_counter("events_rejected", "Events refused for good; they are in rejects.", "reason")
        requests = _lane_counter("requests", "Attempts to deliver, by how they ended.", "result")
        dropped = CounterMetricFamily(
            PREFIX + "rejects_dropped",
            "Refused events that went because rejects were at their bound.",
            labels=["destination"],
        )
        _add(dropped, [], {**dict.fromkeys((s.destination for s in lanes), 0), **self._stats.rejects_dropped})
        replayed = _lane_counter("rejects_replayed_events", "Rejects that were sent again, by their answer.", "outcome")
        outcomes = {(s.destination, outcome): 0 for s in lanes for outcome in ("accepted", "refused")}
        for (destination, outcome), number in {**outcomes, **self._stats.rejects_replayed}.items():
            replayed.add_metric([destination, outcome], number)
        states = GaugeMetricFamily(
            PREFIX + "destination_state", "1 for the state the destination is in.", labels=["destination", "state"]
        )
        for lane in lanes:
            _add(rejected, [lane.destination], {**dict.fromkeys(DROPS, 0), **lane.rejected})
            _add(requests, [lane.destination], {**dict.fromkeys(RESULTS, 0), **lane.requests})
            _add(states, [lane.destination], {**dict.fromkeys(STATES, 0), lane.state: 1})
        yield from (rejected, dropped, replayed, requests, states)

    def _of_sources(self) -> Iterator[Metric]:
        sources = self._stats.sources.values()
        for row in SOURCE_COUNTERS:
            counter = CounterMetricFamily(PREFIX + row.name, row.help, labels=["source"])
            for source in sources:
                counter.add_metric([source.source], row.value(source))
            yield counter
        for row in SOURCE_GAUGES:
            gauge = GaugeMetricFamily(PREFIX + row.name, row.help, labels=["source"])
            for source in sources:
                gauge.add_metric([source.source], row.value(source))
            yield gauge


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, help_text, value=value)


def _lane_counter(name: str, help_text: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(PREFIX + name, help_text, labels=["destination", label])


def _add(family: CounterMetricFamily | GaugeMetricFamily, labels: list[str], values: Mapping[str, float]) -> None:
    """Add a sample for each of ``values``, its key the last label; zeros too, or a first event would be no increase."""
    for value, number in values.items():
        family.add_metric([*labels, value], number)
