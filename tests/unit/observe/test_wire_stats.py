"""``/stats`` has the shape of WIRE 9.1."""

from __future__ import annotations

from collections import Counter
from typing import Any

from agent.observe.wire_stats import DROPS, publish
from agent.stats import AgentStats, LaneStats, SourceStats


def stats() -> AgentStats:
    lane = {
        "accepted": 3,
        "read": 4,
        "accepted_by_type": Counter(access=2, logs=1),
        "last_accepted_at": 1_700_000_000.5,
    }
    return AgentStats(
        agent_id="a-1",
        version="1",
        started_at=0,
        sources={"s": SourceStats(source="s", events=4, events_by_type=Counter(access=3, logs=1))},
        lanes={
            "one": LaneStats(destination="one", destination_id="d-1", **lane, rejected=Counter(drop_rejected=1)),
            "two": LaneStats(destination="two", **lane),
            "three": LaneStats(destination="three"),
        },
    )


def test_an_event_sent_twice_counts_once_in_total_and_twice_in_sent() -> None:
    body: Any = publish(stats(), now=1_700_000_001.0)
    assert body["connector_instance_id"] == "a-1"
    assert body["collection_time"] == "2023-11-14T22:13:21.000Z"
    totals = body["audit_stats"]["audit_totals"]
    assert totals["system_stats"] == {
        "total_events": 4,
        "per_type_events": {"access": 3, "logs": 1},
        "total_dropped": 1,
    }
    assert totals["destination_stats"]["destination_summary_stats"] == {"total_sent": 6, "total_dropped": 1}
    assert totals["destination_stats"]["destination_detailed_stats"]["per_type_sent"] == {"access": 4, "logs": 2}


def test_each_destination_has_its_own_figures_under_its_id() -> None:
    body: Any = publish(stats(), now=1_700_000_001.0)
    found = {d["audit_destination_id"]: d["audit_stats"] for d in body["audit_stats"]["audit_destination_stats"]}
    assert found.keys() == {"d-1", "two", "three"}
    assert found["d-1"]["destination_summary_stats"] == {"total_sent": 3, "total_dropped": 1}
    detailed = found["d-1"]["destination_detailed_stats"]
    assert detailed["drop_rejected"] == 1
    assert detailed["last_sent_time"] == "2023-11-14T22:13:20.500Z"
    assert {name for name in detailed if name.startswith("drop_")} == set(DROPS)


def test_a_destination_that_was_never_sent_to_has_no_time() -> None:
    body: Any = publish(stats(), now=1_700_000_001.0)
    assert (
        "last_sent_time"
        not in body["audit_stats"]["audit_destination_stats"][2]["audit_stats"]["destination_detailed_stats"]
    )
