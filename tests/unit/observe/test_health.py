"""Readiness follows progress: an agent that runs and ships nothing is not ready."""

from __future__ import annotations

from collections import Counter

import pytest

from agent.observe.health import readiness, status_line
from agent.stats import AgentStats, ControlPlaneStats, LaneStats, SourceStats

NOW = 1_000_000.0


def agent(*lanes: LaneStats, ready: bool = True, state_error: str | None = None) -> AgentStats:
    return AgentStats(
        agent_id="a-1",
        version="1",
        started_at=NOW - 3600,
        lanes={lane.destination: lane for lane in lanes},
        ready=ready,
        state_error=state_error,
    )


def lane(
    state: str = "idle", *, behind: int = 0, oldest: float | None = None, progress: float | None = None
) -> LaneStats:
    return LaneStats(
        destination="soc", state=state, behind_bytes=behind, oldest_undelivered_at=oldest, last_progress_at=progress
    )


@pytest.mark.parametrize(
    "stats",
    [
        agent(),
        agent(lane()),
        agent(lane("sending", behind=5, oldest=NOW - 10)),
        agent(lane("sending", behind=10**9, oldest=NOW - 9999, progress=NOW - 5)),
        agent(lane("backing_off", behind=5, oldest=NOW - 299)),
        agent(lane("idle", progress=NOW - 9999)),
        agent(lane("disabled", behind=5, oldest=NOW - 9999)),
    ],
    ids=[
        "no lanes",
        "caught up",
        "new data",
        "far behind but moving",
        "a short trouble",
        "quiet for hours",
        "a disabled lane",
    ],
)
def test_an_agent_is_ready_while_nothing_waits_for_too_long(stats: AgentStats) -> None:
    found = readiness(stats, now=NOW, stalled_after=300)
    assert found.ready, found.reasons
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("stats", "words"),
    [
        (agent(ready=False), "starting"),
        (agent(state_error="state.db: disk full"), "disk full"),
        (agent(lane("degraded")), "soc: degraded"),
        (agent(lane("backing_off", behind=7, oldest=NOW - 301)), "soc: 7 bytes wait, nothing was settled for 301 s"),
        (agent(lane("sending", behind=7, oldest=NOW - 999, progress=NOW - 400)), "for 400 s"),
        (agent(LaneStats(destination="soc", state="idle", rejects_error="/x: read-only")), "/x: read-only"),
    ],
    ids=["not started", "state not written", "degraded", "never settled anything", "stopped settling", "no rejects"],
)
def test_pain_27_an_agent_that_does_not_do_its_work_says_why(stats: AgentStats, words: str) -> None:
    found = readiness(stats, now=NOW, stalled_after=300)
    assert not found.ready
    assert len(found.reasons) == 1
    assert words in found.reasons[0]


def test_every_reason_is_given_and_none_tells_a_secret() -> None:
    stats = agent(
        LaneStats(destination="soc", state="degraded", last_error="401 with Bearer abcdefgh"),
        LaneStats(destination="siem", state="degraded", last_error="https://u:abcdefgh@siem refused"),
        ready=False,
    )
    found = readiness(stats, now=NOW, stalled_after=300)
    assert len(found.reasons) == 3
    assert "abcdefgh" not in str(found)


def test_a_clock_set_back_stalls_nothing() -> None:
    stats = agent(lane("sending", behind=7, oldest=NOW + 5000, progress=NOW + 5000))
    assert readiness(stats, now=NOW, stalled_after=0).ready


def test_the_status_line_tells_counts_lag_and_trouble_in_one_line() -> None:
    stats = agent(
        LaneStats(destination="soc", state="degraded", accepted=5, behind_bytes=3 << 20, rejected=Counter(drop_down=2)),
        LaneStats(destination="off", state="disabled"),
    )
    stats.sources["s"] = SourceStats(source="s", lost_bytes=10)
    assert status_line(stats) == (
        "1 sources, 1 destinations; accepted 5; behind 3.0 MiB; rejected 2; lost 10 bytes; soc degraded"
    )
    stats.ready = False
    stats.state_error = "disk\nfull"
    assert status_line(stats).startswith("starting; ")
    assert status_line(stats).endswith("state: disk full")


def test_destinations_of_the_api_speak_against_it_when_there_is_no_list_or_one_cannot_be_run() -> None:
    stats = agent(lane())
    stats.control_plane = ControlPlaneStats(known=True, last_error="cannot connect")
    assert readiness(stats, now=NOW, stalled_after=300).ready  # the last list goes on
    stats.control_plane = ControlPlaneStats(last_error="cannot connect")
    found = readiness(stats, now=NOW, stalled_after=300)
    assert found.reasons == ("control plane: no list of destinations yet: cannot connect",)
    stats.control_plane = ControlPlaneStats(known=True, problems=["soc: name: taken", "x: token=hunter2"])
    found = readiness(stats, now=NOW, stalled_after=300)
    assert found.reasons == ("control plane: soc: name: taken", "control plane: x: token=***")


def test_a_destination_of_the_api_that_only_keeps_its_place_is_named_once() -> None:
    stats = agent(LaneStats(destination="soc", state="degraded", last_error="filters: found a text"))
    stats.control_plane = ControlPlaneStats(known=True, problems=["soc: filters: found a text"])
    found = readiness(stats, now=NOW, stalled_after=300)
    assert found.reasons == ("control plane: soc: filters: found a text",)
