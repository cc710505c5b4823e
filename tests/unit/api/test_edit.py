"""Changes to a destination's document."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.api.edit import changed, with_filter, without_filter
from agent.api.models import Destination, Spec, view
from agent.errors import UsageError
from tests.support.audits_api import spec

FULL = {
    "spec": spec("soc", filters=[{"filter_type": "hostname", "value": "edge-07", "x": 1}], future={"deep": [1, None]}),
    "metadata": {"id": "d-1", "updated": "u"},
    "links": [{"a": "b"}],
}


def test_a_change_keeps_every_member_it_does_not_name_and_the_document_it_was_given() -> None:
    before = copy.deepcopy(FULL)
    new = changed(FULL, {"comment": "hi", "max_events_per_transaction": 5})
    assert before == FULL
    assert new == {**FULL, "spec": {**before["spec"], "comment": "hi", "max_events_per_transaction": 5}}  # type: ignore[dict-item]


def test_none_removes_a_member_and_routing_is_merged() -> None:
    routed = changed(FULL, {"routing": {"external": True, "sni_proxy": "p"}, "future": None})
    assert "future" not in routed["spec"]
    merged = changed(routed, {"routing": {"sni_proxy": None, "extra_locations": ["l"]}})
    assert merged["spec"]["routing"] == {"external": True, "extra_locations": ["l"]}


def test_a_filter_is_added_or_grows() -> None:
    once = with_filter(FULL, "subsystem", ["access", "access"])
    assert once["spec"]["filters"][1] == {"filter_type": "subsystem", "or_list": ["access"]}
    twice = with_filter(once, "subsystem", ["api", "access"])
    assert twice["spec"]["filters"][1]["or_list"] == ["access", "api"]
    assert with_filter(FULL, "hostname", ["edge-07"]) == FULL
    both = with_filter(FULL, "hostname", ["edge-08"])["spec"]["filters"][0]
    assert both == {"filter_type": "hostname", "value": "edge-07", "x": 1, "or_list": ["edge-08"]}


def test_values_leave_a_filter_and_the_last_one_takes_it_along() -> None:
    grown = with_filter(FULL, "hostname", ["edge-08", "edge-09"])
    assert without_filter(grown, "hostname", ["edge-07", "edge-08"])["spec"]["filters"] == [
        {"filter_type": "hostname", "x": 1, "or_list": ["edge-09"]}
    ]
    assert without_filter(FULL, "hostname", ["edge-07"])["spec"]["filters"] == []
    assert without_filter(FULL, "subsystem", ["edge-07"]) == FULL
    assert without_filter(grown, "hostname", None)["spec"]["filters"] == []


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_what_was_added_and_taken_out_again_is_gone_and_the_rest_stays(add: list[str], remove: list[str]) -> None:
    new = without_filter(with_filter(FULL, "subsystem", add), "subsystem", remove)
    left = [v for f in new["spec"]["filters"] if f["filter_type"] == "subsystem" for v in f["or_list"]]
    assert left == [v for v in dict.fromkeys(add) if v not in remove]
    assert new["spec"]["filters"][0] == FULL["spec"]["filters"][0]  # type: ignore[index]


def test_a_view_names_the_member_that_is_wrong_and_minds_no_other() -> None:
    assert view(FULL, Destination).spec.name == "soc"
    with pytest.raises(UsageError, match=r"name.*\$\.name|\$\.name|128"):
        view(spec("n" * 129), Spec)
    with pytest.raises(UsageError, match="location"):
        view({k: v for k, v in spec("n").items() if k != "location"}, Spec)
