"""The API's commands as processes against a collector as a process: what one half says, the other half takes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import agilicus
import httpx
import pytest
from agilicus import agilicus_api as sdk

from tests.collector.calls import PATH, bulk, event, process
from tests.support.audits_api import TOKEN as FAKE_TOKEN
from tests.support.audits_api import AuditsApi
from tests.support.processes import GENEROUS_SECONDS, command, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

TOKEN = "the-token"


class Shell:
    """Runs commands against one server, with a token from a file; posts events to it."""

    def __init__(self, url: str, folder: Path, token: str = TOKEN) -> None:
        self._url = url
        self._token = folder / "token"
        self._token.write_text(token)
        self._headers = {"Authorization": f"Bearer {token}"}

    def connection(self) -> list[str]:
        return ["--url", self._url, "--token-file", str(self._token)]

    def __call__(self, *arguments: str, exits: int = 0) -> CompletedProcess[str]:
        done = command(*arguments, *self.connection())
        assert done.returncode == exits, done.stderr
        return done

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*arguments, "--json").stdout.splitlines()]

    def post(self, *events: dict[str, Any]) -> None:
        answer = httpx.post(f"{self._url}{PATH}", content=bulk(*events), headers=self._headers, trust_env=False)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def shell(each_database: str, tmp_path: Path) -> Iterator[Shell]:
    with process(tmp_path, "--org-id", "o-1", environment={"AUDIT_COLLECTOR_TOKEN": TOKEN}) as collector:
        yield Shell(collector.url(), tmp_path)


def _create(name: str) -> list[str]:
    usual = ["--type", "webhook", "--location", "https://soc.example.net/hook", "--org-id", "o-1"]
    return ["destinations", "create", "--name", name, *usual]


def test_a_destination_lives_from_create_to_delete(shell: Shell, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    made = json.loads(shell(*_create("soc"), "--username", "u", "--password-file", str(secret)).stdout)
    number = made["metadata"]["id"]
    taken = shell(*_create("soc"), exits=1)
    assert "exists already" in taken.stderr
    assert json.loads(taken.stdout)["metadata"]["id"] == number
    shell(*_create("soc"), "--ensure")

    added = shell("destinations", "add-filter", number, "--filter-type", "subsystem", "--value", "a", "--value", "b")
    assert json.loads(added.stdout)["spec"]["filters"] == [{"filter_type": "subsystem", "or_list": ["a", "b"]}]
    less = shell("destinations", "delete-filter", number, "--filter-type", "subsystem", "--value", "a")
    assert json.loads(less.stdout)["spec"]["filters"] == [{"filter_type": "subsystem", "or_list": ["b"]}]
    shell("destinations", "update", number, "--enabled", "false", "--max-events", "200")
    kept = json.loads(shell("destinations", "show", number, "--secrets").stdout)["spec"]
    assert (kept["enabled"], kept["max_events_per_transaction"]) == (False, 200)
    assert kept["authentication"]["http_basic"] == {"username": "u", "password": "hunter2"}
    assert "hunter2" not in shell("destinations", "show", number).stdout

    shell("destinations", "delete", number)
    assert "404" in shell("destinations", "show", number, exits=1).stderr
    # Each change is an event of its own.
    told = shell.json("audits", "--target-id", number)
    assert [record["action"] for record in told] == ["DELETE", "UPDATE", "UPDATE", "UPDATE", "CREATE"]


def test_a_list_of_many_pages_is_shown_whole(shell: Shell) -> None:
    for number in range(5):
        shell(*_create(f"n{number}"))
    for size in ("1", "2", "5", "500"):
        listed = shell.json("destinations", "list", "--page-size", size, "--all")
        assert sorted(one["spec"]["name"] for one in listed) == [f"n{n}" for n in range(5)]
    assert [one["spec"]["name"] for one in shell.json("destinations", "list", "--name", "n3")] == ["n3"]


def test_records_are_found_by_the_commands_options(shell: Shell) -> None:
    when = "2026-05-04T12:00:0{}Z"
    changes = [{"log_type": "api", "action": "CREATE", "user_id": f"u{n}", "time": when.format(n)} for n in range(7)]
    logins = [{"log_type": "authentication", "session": f"s{n}", "result": "Success"} for n in range(3)]
    shell.post(*(event(f"e.{n}", event=one) for n, one in enumerate([*changes, *logins])))

    ever = ["--dt-from", ""]
    assert [one["user_id"] for one in shell.json("audits", *ever, "--limit", "2")] == ["u6", "u5"]
    assert len(shell.json("audits", *ever, "--page-size", "2", "--all", "--action", "CREATE")) == 7
    between = ["--dt-from", when.format(2), "--dt-to", when.format(4)]
    assert [one["user_id"] for one in shell.json("audits", *between)] == ["u3", "u2"]
    assert [one["user_id"] for one in shell.json("audits", *ever, "--cel-expression", "user_id == 'u4'")] == ["u4"]
    assert "cel_expression" in shell("audits", "--cel-expression", "user_id ==", exits=1).stderr
    assert [one["session"] for one in shell.json("auth-audits", *ever, "--session-id", "s1")] == ["s1"]
    assert when.format(6) in shell("audits", *ever).stdout
    nothing = shell("audits")
    assert nothing.stdout == ""
    assert "--dt-from" in nothing.stderr


def test_new_records_are_followed(shell: Shell, tmp_path: Path) -> None:
    output = tmp_path / "output"
    options = ["--follow", "--json", "--interval", "100ms", "--dt-from", "", *shell.connection()]
    names = [f"u{number}" for number in range(4)]

    def followed() -> list[str]:
        return [json.loads(line)["user_id"] for line in output.read_text().splitlines()]

    with (
        output.open("wb") as out,
        subprocess.Popen([sys.executable, "-m", "agent.cli", "audits", *options], stdout=out) as follower,
    ):
        for number, name in enumerate(names):
            change = {"log_type": "api", "action": "CREATE", "user_id": name}
            shell.post(event(f"e.{number}", create_time=f"2026-05-04T12:00:0{number}Z", event=change))
            wait_until(partial(_ends_with, followed, name))
        follower.send_signal(signal.SIGINT)
        assert follower.wait(GENEROUS_SECONDS) == 0
    assert followed() == names


def _ends_with(followed: Callable[[], list[str]], name: str) -> bool:
    return followed()[-1:] == [name]


def test_a_wrong_token_or_scope_is_told_in_the_collectors_words(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    refused = shell("audits", exits=1)
    assert "401" in refused.stderr
    assert "wrong" not in refused.stderr.replace("wrong token", "")


def test_the_official_models_take_what_the_commands_send(tmp_path: Path) -> None:
    """Of every change of a destination, as it is on the wire; the models are strict."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    with AuditsApi() as api:
        shell = Shell(api.url, tmp_path, FAKE_TOKEN)
        options = ["--username", "u", "--password-file", str(secret), "--max-events", "200", "--comment", "ours"]
        more = ["--event-level-filter", "custom", "--webhook-format", "agilicus", "--routing-external", "true"]
        number = json.loads(shell(*_create("soc"), *options, *more).stdout)["metadata"]["id"]
        chosen = [number, "--filter-type", "hostname"]
        shell("destinations", "add-filter", *chosen, "--value", "a", "--value", "b")
        shell("destinations", "delete-filter", *chosen, "--value", "a")
        shell("destinations", "update", number, "--enabled", "false", "--clear", "max_events_per_transaction")
        sent = [(one.method, json.loads(one.body)) for one in api.receiver.requests if one.body]
    assert [method for method, _ in sent] == ["POST", "PUT", "PUT", "PUT"]
    with agilicus.ApiClient() as client:
        assert not client.configuration.discard_unknown_keys
        for _, body in sent:
            # What a server adds that the model does not know is given back as it came: it is the server's own.
            body.pop("x_new", None)
            model = client.deserialize_json(json.dumps(body), (sdk.AuditDestination,))
            assert model.spec.name == "soc"
            assert json.loads(json.dumps(client.sanitize_for_serialization(model)["spec"])) == body["spec"]
