"""Which events a destination gets (WIRE 2.1, 2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.model import DestinationConfig, Filter
from agent.filters import AgentIdentity, EventFilter
from tests.support.blocks import block

AGENT = AgentIdentity(id="guid-1", type="agent-connector", hostname="Edge-07.example.net")
SUBSYSTEMS = ["authentication", "api", "authorization", "access", "logs", "something-new"]


def _filter(*filters: Filter, level: str | None = None, identity: AgentIdentity = AGENT) -> EventFilter:
    config = DestinationConfig(
        name="d", destination_type="webhook", location="https://x/", filters=list(filters), event_level_filter=level
    )
    return EventFilter(config, identity)


def _by(filter_type: str, value: str | None = None, or_list: list[str] | None = None) -> Filter:
    return Filter(filter_type=filter_type, value=value, or_list=or_list)


def _passed(event_filter: EventFilter) -> set[str]:
    return {kind for kind in SUBSYSTEMS if event_filter.decide(kind).sent}


def test_without_filters_and_level_everything_passes() -> None:
    assert _passed(_filter()) == set(SUBSYSTEMS)


@pytest.mark.parametrize(
    ("given_filter", "passed"),
    [
        (_by("subsystem", "api"), {"api"}),
        (_by("subsystem", or_list=["api", "logs"]), {"api", "logs"}),
        (_by("subsystem", "access", ["api"]), {"access", "api"}),
        (_by("subsystem"), set(SUBSYSTEMS)),
        (_by("subsystem", or_list=[]), set(SUBSYSTEMS)),
        (_by("subsystem", "API"), set()),
        (_by("subsystem", ""), set()),
        (_by("phase", "anything"), set(SUBSYSTEMS)),
        (_by("phase", or_list=["a", "b"]), set(SUBSYSTEMS)),
    ],
)
def test_a_filter_matches_by_value_or_by_list_and_an_empty_one_passes(given_filter: Filter, passed: set[str]) -> None:
    assert _passed(_filter(given_filter)) == passed


@pytest.mark.parametrize(
    ("given_filter", "sent"),
    [
        (_by("audit_agent_id", "guid-1"), True),
        (_by("audit_agent_id", "GUID-1"), False),
        (_by("audit_agent_id", or_list=["guid-0", "guid-1"]), True),
        (_by("audit_agent_type", "agent_connector"), True),
        (_by("audit_agent_type", "agent-connector"), True),
        (_by("audit_agent_type", "connector"), True),
        (_by("audit_agent_type", "Agent_connector"), False),
        (_by("audit_agent_type", "other_connector"), False),
        (_by("hostname", "edge-07.EXAMPLE.net"), True),
        (_by("hostname", "edge-07"), False),
        (_by("hostname", or_list=["a", "edge-07.example.net"]), True),
    ],
)
def test_the_properties_of_the_agent_are_compared_exactly_but_for_hostname_case_and_hyphens_of_types(
    given_filter: Filter, sent: bool
) -> None:
    assert _passed(_filter(given_filter)) == (set(SUBSYSTEMS) if sent else set())


def test_connector_means_any_kind_of_connector_and_nothing_else() -> None:
    def sent(kind: str) -> bool:
        identity = AgentIdentity(id="a", type=kind, hostname="h")
        return _filter(_by("audit_agent_type", "connector"), identity=identity).decide("logs").sent

    assert sent("connector")
    assert sent("vpn-connector")
    assert sent("agent_connector")
    assert not sent("host-agent")


def test_all_filters_must_match_also_several_of_one_type() -> None:
    assert _passed(_filter(_by("subsystem", "api"), _by("subsystem", "logs"))) == set()
    both = _filter(_by("subsystem", or_list=["api", "logs"]), _by("subsystem", or_list=["logs", "access"]))
    assert _passed(both) == {"logs"}
    assert _passed(_filter(_by("subsystem", "api"), _by("hostname", "elsewhere"))) == set()


@pytest.mark.parametrize(
    ("level", "passed"),
    [
        ("none", set()),
        ("low", {"authentication"}),
        ("medium", {"authentication", "api"}),
        ("high", set(SUBSYSTEMS)),
        ("custom", set(SUBSYSTEMS)),
        (None, set(SUBSYSTEMS)),
        ("verbose", set()),
    ],
)
def test_a_level_passes_its_subsystems(level: str | None, passed: set[str]) -> None:
    assert _passed(_filter(level=level)) == passed


@pytest.mark.parametrize(("level", "passed"), [("medium", {"authentication", "api"}), ("high", set(SUBSYSTEMS))])
def test_a_level_replaces_subsystem_filters_but_no_others(level: str, passed: set[str]) -> None:
    assert _passed(_filter(_by("subsystem", "logs"), level=level)) == passed
    assert _passed(_filter(_by("hostname", "elsewhere"), level=level)) == set()


@pytest.mark.parametrize("level", ["custom", None])
def test_custom_and_absent_leave_it_to_the_filters(level: str | None) -> None:
    assert _passed(_filter(_by("subsystem", "logs"), level=level)) == {"logs"}


@pytest.mark.parametrize("given_filter", [_by("colour"), _by("colour", "red"), _by("Subsystem", "logs")])
def test_a_filter_that_is_not_understood_blocks_everything_and_is_named(given_filter: Filter) -> None:
    for level in (None, "high"):
        event_filter = _filter(_by("phase"), given_filter, level=level)
        assert _passed(event_filter) == set()
        (problem,) = event_filter.problems
        assert problem.startswith("filters[1].filter_type: found ")
        assert "subsystem" in problem


def test_a_level_that_is_not_understood_is_named_with_what_is_allowed() -> None:
    (problem,) = _filter(level="verbose").problems
    assert problem.startswith("event_level_filter: found 'verbose'")
    assert "medium" in problem
    assert _filter(_by("subsystem", "x"), level="high").problems == ()


def test_every_decision_names_its_rule() -> None:
    assert "event_level_filter low" in _filter(level="low").decide("logs").rule
    assert "filters[1]" in _filter(_by("phase"), _by("subsystem", "x")).decide("logs").rule
    assert _filter().decide("logs").rule


def test_a_block_of_which_everything_passes_is_not_copied() -> None:
    event_filter = _filter(_by("subsystem", or_list=["api", "logs"]))
    for types in ("api", ["api", "logs", "api"]):
        whole = block(0, 3, types=types)
        assert event_filter.apply(whole) is whole


@given(st.lists(st.sampled_from(SUBSYSTEMS)), st.sets(st.sampled_from(SUBSYSTEMS), min_size=1))
def test_what_is_left_of_a_block_is_what_the_decisions_say(types: list[str], wanted: set[str]) -> None:
    whole = block(7, len(types), types=types, end=100)
    left = _filter(_by("subsystem", or_list=sorted(wanted))).apply(whole)
    assert list(left.log_types) == [kind for kind in types if kind in wanted]
    assert list(left.offsets) == [7 + i for i, kind in enumerate(types) if kind in wanted]
    assert (left.start, left.end) == (7, 100)


def test_a_block_of_one_blocked_subsystem_keeps_its_bytes_and_loses_its_events() -> None:
    left = _filter(level="low").apply(block(0, 3, end=40, types="logs"))
    assert (list(left.bodies), left.end, left.size) == ([], 40, 0)


def test_subsystems_from_log_lines_cannot_fill_the_memory() -> None:
    event_filter = _filter(level="low")
    for n in range(5000):
        assert not event_filter.decide(f"made-up-{n}").sent
    assert len(event_filter._decisions) <= 1000
