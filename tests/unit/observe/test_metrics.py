"""What ``/metrics`` says, read back by the format's own parser."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.observe.metrics import PREFIX, RESULTS, STATES, exposition
from agent.observe.wire_stats import DROPS
from agent.stats import AgentStats, LaneStats, SourceStats

NOW = 2_000_000.0


def stats() -> AgentStats:
    lane = LaneStats(
        destination="soc",
        state="backing_off",
        read=100,
        accepted=50,
        filtered=20,
        rejected=Counter(drop_rejected=7, drop_invalid_format=3),
        requests=Counter(accepted=2, not_now=1),
        accepted_bytes=12345,
        wanted_again=9,
        deferred=3,
        anomalies=1,
        queue_bytes=10,
        queue_max_bytes=1000,
        behind_bytes=77,
        oldest_undelivered_at=NOW - 60,
        last_accepted_at=NOW - 70,
        retry_at=NOW + 30,
    )
    source = SourceStats(
        source="access",
        files=1,
        streams=2,
        open_files=3,
        events=100,
        bytes=4,
        parse_errors=5,
        truncated_lines=6,
        lost_bytes=7,
    )
    return AgentStats(
        agent_id="a-1",
        version="1.2.3",
        started_at=NOW - 3600,
        sources={"access": source},
        lanes={"soc": lane, "quiet": LaneStats(destination='qu"iet\n\\', state="idle")},
        state_errors=4,
        state_error="disk full",
        config_reloads=Counter(refused=2),
        ready=True,
    )


def samples(of: AgentStats) -> dict[str, dict[tuple[str, ...], float]]:
    text, _ = exposition(of, now=NOW)
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix(PREFIX), {})[tuple(sample.labels.values())] = sample.value
    return found


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("events_read_total", ("soc",), 100),
        ("events_accepted_total", ("soc",), 50),
        ("events_filtered_total", ("soc",), 20),
        ("events_rejected_total", ("soc", "drop_rejected"), 7),
        ("events_rejected_total", ("soc", "drop_down"), 0),
        ("events_in_flight", ("soc",), 20),
        ("events_wanted_again_total", ("soc",), 9),
        ("events_deferred", ("soc",), 3),
        ("requests_total", ("soc", "not_now"), 1),
        ("requests_total", ("soc", "partial"), 0),
        ("delivered_bytes_total", ("soc",), 12345),
        ("lag_bytes", ("soc",), 77),
        ("oldest_undelivered_age_seconds", ("soc",), 60),
        ("last_accepted_timestamp_seconds", ("soc",), NOW - 70),
        ("retry_wait_seconds", ("soc",), 30),
        ("queue_bytes", ("soc",), 10),
        ("queue_limit_bytes", ("soc",), 1000),
        ("answer_anomalies_total", ("soc",), 1),
        ("destination_state", ("soc", "backing_off"), 1),
        ("destination_state", ("soc", "idle"), 0),
        ("oldest_undelivered_age_seconds", ('qu"iet\n\\',), 0),
        ("retry_wait_seconds", ('qu"iet\n\\',), 0),
        ("source_files", ("access",), 1),
        ("source_streams", ("access",), 2),
        ("source_open_files", ("access",), 3),
        ("source_events_total", ("access",), 100),
        ("source_bytes_total", ("access",), 4),
        ("source_parse_errors_total", ("access",), 5),
        ("source_truncated_lines_total", ("access",), 6),
        ("source_lost_bytes_total", ("access",), 7),
        ("state_errors_total", (), 4),
        ("state_unwritable", (), 1),
        ("started", (), 1),
        ("config_reloads_total", ("refused",), 2),
        ("config_reloads_total", ("applied",), 0),
        ("build_info", ("1.2.3",), 1),
        ("start_time_seconds", (), NOW - 3600),
    ],
)
def test_every_counter_of_the_agent_is_told(name: str, labels: tuple[str, ...], value: float) -> None:
    assert samples(stats())[name][labels] == value


def test_what_was_read_is_what_became_of_it() -> None:
    found = samples(stats())
    for lane in ("soc", 'qu"iet\n\\'):
        rejected = sum(v for labels, v in found["events_rejected_total"].items() if labels[0] == lane)
        others = ("events_accepted_total", "events_filtered_total", "events_in_flight")
        assert found["events_read_total"][(lane,)] == rejected + sum(found[name][(lane,)] for name in others)


def test_the_series_are_there_before_anything_happens() -> None:
    """A series that appears with its first event shows no increase, so no alarm would ring."""
    found = samples(AgentStats(agent_id="a", version="1", started_at=0, lanes={"d": LaneStats(destination="d")}))
    assert found["events_rejected_total"] == {("d", reason): 0 for reason in DROPS}
    assert found["requests_total"] == {("d", result): 0 for result in RESULTS}
    assert found["destination_state"] == {("d", state): float(state == "starting") for state in STATES}


def test_every_metric_has_a_help_text_and_the_conventional_name() -> None:
    text, content_type = exposition(stats(), now=NOW)
    assert content_type.startswith("text/plain")
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation
        assert family.name.startswith((PREFIX, "process_"))
        assert all(s.name.endswith("_total") == (family.type == "counter") for s in family.samples)


def test_the_process_is_measured_too() -> None:
    assert samples(stats())["process_resident_memory_bytes"][()] > 0
