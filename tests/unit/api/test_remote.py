"""A destination of the API as the configuration of a lane, and both lists side by side."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import auth
from agent.api.remote import Unusable, configuration, lacks_secret
from agent.app.merge import merge
from agent.config.model import (
    AgilicusBearer,
    Authentication,
    Config,
    ControlPlaneConfig,
    Delivery,
    DestinationConfig,
    Filter,
    HeldPlace,
    HttpBasic,
)
from agent.config.secrets import Secret
from agent.destinations import build
from tests.support.audits_api import spec

if TYPE_CHECKING:
    from pathlib import Path

PLANE = ControlPlaneConfig(url="https://api.example.net", delivery=Delivery(timeout=7))


def document(name: str = "soc", number: str = "d-1", **members: Any) -> dict[str, Any]:
    return {"spec": spec(name, **members), "metadata": {"id": number, "updated": "u"}}


def usable(given: dict[str, Any], *credentials: dict[str, Any], plane: ControlPlaneConfig = PLANE) -> DestinationConfig:
    made = configuration(given, credentials, plane)
    assert isinstance(made, DestinationConfig), made
    return made


def problem(given: dict[str, Any], *credentials: dict[str, Any]) -> str:
    made = configuration(given, credentials, PLANE)
    assert isinstance(made, Unusable)
    return made.problem


def test_an_object_of_the_api_is_what_the_file_would_say() -> None:
    made = usable(
        document(
            filters=[{"filter_type": "hostname", "or_list": ["a"], "future": 1}],
            max_events_per_transaction=200,
            event_level_filter="custom",
            authentication={"authentication_type": "http_basic", "http_basic": {"username": "u", "password": "p"}},
            webhook_settings=None,
            routing={"external": True},
            future={"deep": True},
        )
    )
    assert made == DestinationConfig(
        name="soc",
        destination_type="webhook",
        location="https://soc.example.net/hook",
        id="d-1",
        org_id="o-1",
        filters=[Filter(filter_type="hostname", or_list=["a"])],
        max_events_per_transaction=200,
        event_level_filter="custom",
        authentication=Authentication(
            authentication_type="http_basic", http_basic=HttpBasic(username="u", password=Secret("p"))
        ),
        routing={"external": True},
        delivery=Delivery(timeout=7),
    )


def test_a_new_comment_restarts_no_lane() -> None:
    assert usable(document(comment="one")) == usable({**document(comment="two"), "metadata": {"id": "d-1"}})


@given(st.text(max_size=40) | st.sampled_from(["${env:HOME}", "$${", "${", "a${file:/etc/passwd:-x}b", "$${env:HOME}"]))
def test_a_secret_of_the_api_is_that_very_text(text: str) -> None:
    basic = {"authentication_type": "http_basic", "http_basic": {"username": "u", "password": f"x{text}"}}
    made = usable(document(authentication=basic))
    assert made.authentication.http_basic is not None
    assert made.authentication.http_basic.password.reveal() == f"x{text}"


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ({}, "spec"),
        ({"spec": None}, "spec"),
        (document(name=""), "name"),
        (document(filters=None), "filters"),
        (document(filters=[{"value": "x"}]), "filter_type"),
        (document(max_events_per_transaction=0), "max_events_per_transaction"),
        (document(enabled="yes"), "enabled"),
        (document(authentication={"http_basic": {}}), "authentication"),
        (document(authentication=[]), "authentication"),
        ({**document(), "metadata": "m"}, "metadata"),
    ],
)
def test_what_is_no_destination_names_the_member(broken: dict[str, Any], named: str) -> None:
    assert named in problem(broken)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["spec", "name", "id"]), inner),
        max_leaves=8,
    ),
    st.sampled_from(["name", "filters", "authentication", "routing", "webhook_settings", "enabled", "location"]),
)
def test_whatever_the_api_says_is_a_destination_or_a_problem(value: Any, member: str) -> None:
    made = configuration(document(**{member: value}), [{"spec": value, "status": value}], PLANE)
    assert isinstance(made, DestinationConfig | Unusable)


def credential(priority: int, **status: Any) -> dict[str, Any]:
    return {"spec": {"priority": priority}, "status": status}


def test_a_missing_secret_is_that_of_the_credential_with_the_highest_priority() -> None:
    bare = document(authentication={"authentication_type": "http_basic"})
    assert lacks_secret(bare)
    made = usable(bare, credential(1, username="a", password="low"), credential(9, username="b", password="high"), {})
    basic = made.authentication.http_basic
    assert basic is not None
    assert (basic.username, basic.password.reveal()) == ("b", "high")


def test_a_secret_that_is_there_is_not_replaced() -> None:
    full = document(authentication={"authentication_type": "http_bearer", "http_bearer": {"token": "mine"}})
    assert not lacks_secret(full)
    bearer = usable(full, credential(1, password="other")).authentication.http_bearer
    assert bearer is not None
    assert bearer.token.reveal() == "mine"


def test_an_encrypted_credential_is_said_to_be_of_no_use() -> None:
    bare = document(authentication={"authentication_type": "http_bearer"})
    for status in ({"password": "x"}, {}, {"encryption_key_id": "k"}):
        said = problem(bare, credential(9, is_encrypted=True, **status), credential(1, password="older"))
        assert said.startswith("authentication.http_bearer.token: found an object credential that is encrypted")
        assert (" for the key 'k'" in said) == ("encryption_key_id" in status)


def test_a_destination_without_its_secret_is_left_to_its_lane() -> None:
    made = usable(document(authentication={"authentication_type": "http_bearer"}))
    assert [key for key, _, _ in auth.problems(made.authentication)] == ["http_bearer"]


def test_agilicus_bearer_signs_with_the_control_planes_credentials() -> None:
    bearer = AgilicusBearer(token=Secret("t"))
    plane = ControlPlaneConfig(
        url="u", authentication=Authentication(authentication_type="agilicus_bearer", agilicus_bearer=bearer)
    )
    wanting = document(authentication={"authentication_type": "agilicus_bearer"})
    assert usable(wanting, plane=plane).authentication.agilicus_bearer == bearer
    assert usable(document(), plane=plane).authentication.agilicus_bearer is None


def local(*destinations: DestinationConfig) -> Config:
    return Config(sources=[], destinations=list(destinations), control_plane=PLANE)


def test_both_lists_stand_side_by_side_and_the_first_has_a_name_or_a_file(tmp_path: Path) -> None:
    own = DestinationConfig(name="own", destination_type="file", location=str(tmp_path / "a.log"))
    remote = [
        document("soc", "d-1"),
        document("own", "d-2"),
        document("soc", "d-3"),
        document("same", "d-4", destination_type="file", location=f"file://{tmp_path}/./a.log"),
        document("other", "d-5", destination_type="file", location=str(tmp_path / "b.log")),
        document("again", "d-6", destination_type="file", location=str(tmp_path / "b.log")),
        document("broken", "d-7", enabled=1),
    ]
    before = copy.deepcopy(remote)
    config, unusable = merge(local(own), remote, {})
    assert [each.name for each in config.destinations] == ["own", "soc", "other", "same", "again", "broken"]
    assert [each.name for each in config.destinations if isinstance(each, HeldPlace)] == ["same", "again", "broken"]
    assert [each.id for each in unusable] == ["d-2", "d-3", "d-4", "d-6", "d-7"]
    assert "the configuration file has" in unusable[0].problem
    assert "destination d-1 has" in unusable[1].problem
    assert "the file of 'own'" in unusable[2].problem
    assert remote == before


def test_one_that_cannot_be_run_keeps_its_place_unless_its_name_is_anothers_or_none_at_all() -> None:
    broken: list[dict[str, Any]] = [
        document("soc", "d-1", enabled=1),
        document("soc", "d-2"),
        document("x" * 129, "d-3"),
        document("off", "d-4", enabled=False, filters="all"),
    ]
    config, unusable = merge(local(), broken, {})
    assert [(each.name, each.id) for each in config.destinations] == [("soc", "d-2"), ("off", "d-4")]
    (place,) = [each for each in config.destinations if isinstance(each, HeldPlace)]
    assert place.enabled is False
    assert place.problem == unusable[-1].problem
    with pytest.raises(ValueError, match=r"\$\.spec\.filters"):
        build(place)
