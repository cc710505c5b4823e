"""The official client library drives every operation, and its models take every body that the agent sends."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import agilicus
import pytest
from agilicus import agilicus_api as sdk

from tests.collector.calls import process
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "the-token"


@pytest.fixture
def api(each_database: str, tmp_path: Path) -> Iterator[Any]:
    """The library's client of a collector."""
    environment = {"AUDIT_COLLECTOR_TOKEN": TOKEN}
    with process(tmp_path, "--org-id", "o-1", environment=environment) as collector, client(collector.url()) as made:
        yield made


@contextmanager
def client(url: str) -> Iterator[Any]:
    """Yield the library's audits operations at ``url``; its models check whatever comes and goes."""
    configuration = sdk.Configuration(host=url, access_token=TOKEN)
    assert not configuration.discard_unknown_keys
    with agilicus.ApiClient(configuration) as made:
        yield sdk.AuditsApi(made)


def destination(name: str, **spec: Any) -> Any:
    """Return the library's model of a new one."""
    usual = {"enabled": True, "name": name, "org_id": "o-1", "destination_type": "webhook", "comment": ""}
    whole = {**usual, "location": "https://r.example.org/hook", "filters": [], **spec}
    return sdk.AuditDestination(spec=sdk.AuditDestinationSpec(**whole))


def event(number: int, **members: Any) -> Any:
    """Return the library's model of an event."""
    when = f"2026-05-04T12:00:{number % 60:02d}.123456789Z"
    raw = {"unique_id": f"e.{number}", "create_time": when, "event": {"time": when, **members}}
    return agilicus.ApiClient().deserialize_json(json.dumps(raw), (sdk.AuditEvent,))


def test_destinations_are_created_read_replaced_listed_and_deleted(api: Any) -> None:
    filters = [sdk.AuditDestinationFilter(filter_type="subsystem", or_list=["access", "api"])]
    login = sdk.AuditDestinationAuthentication(
        authentication_type="http_basic", http_basic=sdk.HTTPBasicAuth(username="u", password="p")
    )
    made = api.create_audit_destination(destination("a", filters=filters, authentication=login))
    assert made.spec.filters[0].or_list == ["access", "api"]
    assert made.spec.authentication.http_basic.password == "p"
    got = api.get_audit_destination(made.metadata.id, org_id="o-1")
    assert got.to_dict() == made.to_dict()

    got.spec["comment"] = "changed"
    replaced = api.replace_audit_destination(made.metadata.id, audit_destination=got)
    assert replaced.spec.comment == "changed"
    assert replaced.metadata.updated > made.metadata.updated
    with pytest.raises(sdk.exceptions.ApiException) as stale:
        api.replace_audit_destination(made.metadata.id, audit_destination=got)
    assert stale.value.status == 409

    with pytest.raises(sdk.exceptions.ApiException) as taken:
        api.create_audit_destination(destination("a"))
    assert taken.value.status == 409
    assert json.loads(taken.value.body)["metadata"]["id"] == made.metadata.id

    api.delete_audit_destination(made.metadata.id, org_id="o-1")
    with pytest.raises(sdk.exceptions.NotFoundException):
        api.get_audit_destination(made.metadata.id, org_id="o-1")


@pytest.mark.parametrize("page_size", [1, 3, 7, 100])
def test_the_librarys_own_paging_goes_through_all_of_a_list(api: Any, page_size: int) -> None:
    for number in range(7):
        api.create_audit_destination(destination(f"n{number}"))
    every = api.list_audit_destinations.auto_paging_iter(org_id="o-1", page_size=page_size).all()
    assert sorted(one.spec.name for one in every) == [f"n{n}" for n in range(7)]
    by_name = api.list_audit_destinations.auto_paging_iter(page_on=["name"], page_sort=["desc"], page_size=page_size)
    assert [one.spec.name for one in by_name] == [f"n{n}" for n in reversed(range(7))]
    first = api.list_audit_destinations.auto_paging_iter(page_on=["name"], page_size=page_size, limit=2).all()
    assert [one.spec.name for one in first][:2] == ["n0", "n1"]
    with pytest.raises(NotImplementedError, match="key"):
        api.list_audit_destinations.auto_paging_iter(page_on=["location"]).all()


def test_events_are_taken_and_answered_one_by_one(api: Any) -> None:
    events = [event(n, log_type="access") for n in range(3)]
    answer = api.bulk_create_events(sdk.AuditWebhookBulkEvent(events=events, always_respond_with_events=True))
    assert [(one.unique_id, one.status) for one in answer.success_events] == [(f"e.{n}", "success") for n in range(3)]
    assert (answer.discard_events, answer.retry_events) == ([], [])
    again = api.bulk_create_events(sdk.AuditWebhookBulkEvent(events=[*events, event(3)]))
    assert [(one.unique_id, one.status) for one in again.success_events] == [(f"e.{n}", "duplicate") for n in range(3)]


def test_records_are_found_by_the_librarys_parameters(api: Any) -> None:
    odd = {"target_resource_name": None, "session": None, "token_id": True, "more": {"x": [None]}}
    attributes = [{"attribute_id": "i", "attribute_type": "t", "attribute_name": None}, {"attribute_id": "j"}]
    changes = [event(n, log_type="api", action="CREATE", user_id=f"u{n}") for n in range(4)]
    changes.append(event(4, log_type="api", action="DELETE", audit_attributes=attributes, **odd))
    logins = [event(10 + n, log_type="authentication", result="Success", session=f"s{n}") for n in range(3)]
    api.bulk_create_events(sdk.AuditWebhookBulkEvent(events=changes + logins))

    found = api.list_audits(org_id="o-1", limit=3).audits
    assert [record.action for record in found] == ["DELETE", "CREATE", "CREATE"]
    assert found[0].token_id == "true"
    assert found[0].audit_attributes[0].attribute_type == "t"
    assert found[0].time.microsecond == 123456
    assert [r.user_id for r in api.list_audits(user_id="u2", dt_from="2026-05-04", dt_to="now").audits] == ["u2"]
    assert len(api.list_audits(attribute_id_list=["i", "x"], attribute_type_list=["t"]).audits) == 1
    assert [r.session for r in api.list_auth_records(session_id="s1", result="Success").auth_audits] == ["s1"]
    assert api.list_auth_records(dt_from="now-1day", dt_to="now").auth_audits == []


def test_the_models_take_every_body_that_the_agent_sends(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    lines = [
        b'{"time":"2026-05-04T12:00:00Z","method":"GET","deep":{"a":[1,null,1e5]}}',
        b"no json at all \xff\x00 \xe2\x80\xae",
        b'{"time":"not a time","message":"\\u0000"}',
        b"May  4 12:00:00 host sshd[1]: Failed password for invalid user x from 192.0.2.1 port 1 ssh2",
        b"x" * 100_000,
    ]
    for name in ("a.jsonl", "b.log"):
        (tmp_path / "logs" / name).write_bytes(b"".join(line + b"\n" for line in lines))
    with Receiver() as receiver:
        location = {"destination_type": "webhook", "location": receiver.url}
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(tmp_path / "state")},
            sources=[
                {"name": "a", "include": [f"{tmp_path}/logs/a.jsonl"], "subsystem": "access", "time_field": "time"},
                {"name": "b", "include": [f"{tmp_path}/logs/b.log"], "format": "text"},
            ],
            destinations=[{"name": "sink", **location}],
        )

        def bodies() -> list[dict[str, Any]]:
            return [json.loads(request.body) for request in receiver.requests]

        with AgentProcess(config) as agent:
            wait_until(lambda: sum(len(b["events"]) for b in bodies()) == 2 * len(lines), on_timeout=agent.output)
            assert agent.stop() == 0
    with agilicus.ApiClient() as made:
        for body in bodies():
            model = made.deserialize_json(json.dumps(body), (sdk.AuditWebhookBulkEvent,))
            assert [one.unique_id for one in model.events] == [one["unique_id"] for one in body["events"]]
