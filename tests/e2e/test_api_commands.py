"""The API's commands as processes against a server on a real socket: output, exit codes, secrets."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audits_api import TOKEN, AuditsApi, spec
from tests.support.processes import GENEROUS_SECONDS, command, wait_until, write_config
from tests.support.receiver import Reply
from tests.support.service_accounts import document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

HOSTILE = "\x1b]0;owned\x07\u202e [red]x[/red]"


class Shell:
    """Runs commands against the server as somebody with a token in a file."""

    def __init__(self, folder: Path, api: AuditsApi) -> None:
        self.folder = folder
        self.api = api
        self.token = folder / "token"
        self.token.write_text(f"{TOKEN}\n")

    def connection(self) -> list[str]:
        return ["--url", self.api.url, "--token-file", str(self.token)]

    def __call__(self, *arguments: str, **options: Any) -> CompletedProcess[str]:
        return command(*arguments, *self.connection(), **options)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with AuditsApi() as api:
        yield Shell(tmp_path, api)


def test_a_destination_lives_from_create_to_delete(shell: Shell) -> None:
    secret = shell.folder / "secret"
    secret.write_text("hunter2\n")
    made = shell(
        *["destinations", "create", "--name", "soc", "--type", "webhook", "--location", "https://soc.example.net/hook"],
        *["--org-id", "o-1", "--username", "u", "--password-file", str(secret), "--max-events", "200"],
        *["--event-level-filter", "custom", "--webhook-format", "agilicus", "--routing-external", "true"],
    )
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    number = shown["metadata"]["id"]
    assert shown["spec"]["authentication"]["http_basic"] == {"username": "u", "password": "***"}
    assert shell.api.destinations[number]["spec"] == spec(
        "soc",
        authentication={"authentication_type": "http_basic", "http_basic": {"username": "u", "password": "hunter2"}},
        max_events_per_transaction=200,
        event_level_filter="custom",
        webhook_settings={"format": "agilicus"},
        routing={"external": True},
    )
    added = shell(
        "destinations", "add-filter", number, "--filter-type", "subsystem", "--value", "api", "--value", "logs"
    )
    assert json.loads(added.stdout)["spec"]["filters"] == [{"filter_type": "subsystem", "or_list": ["api", "logs"]}]
    less = shell("destinations", "delete-filter", number, "--filter-type", "subsystem", "--value", "api")
    assert json.loads(less.stdout)["spec"]["filters"] == [{"filter_type": "subsystem", "or_list": ["logs"]}]
    none = shell("destinations", "delete-filter", number, "--filter-type", "subsystem", "--all-values")
    assert json.loads(none.stdout)["spec"]["filters"] == []
    updated = shell("destinations", "update", number, "--enabled", "false", "--clear", "max_events_per_transaction")
    assert updated.returncode == 0, updated.stderr
    kept = shell.api.destinations[number]["spec"]
    assert kept["enabled"] is False
    assert "max_events_per_transaction" not in kept
    assert kept["authentication"]["http_basic"]["password"] == "hunter2"
    assert "hunter2" in shell("destinations", "show", number, "--secrets").stdout
    assert "hunter2" not in shell("destinations", "show", number).stdout
    assert shell("destinations", "delete", number).returncode == 0
    gone = shell("destinations", "show", number)
    assert gone.returncode == 1
    assert "NOT_FOUND" in gone.stderr


def test_a_name_that_is_taken_exits_1_unless_that_is_fine(shell: Shell) -> None:
    shell.api.put("soc", comment="there")
    options = ["destinations", "create", "--name", "soc", "--type", "file", "--location", "/var/log/a"]
    taken = shell(*options)
    assert taken.returncode == 1
    assert "exists already" in taken.stderr
    assert json.loads(taken.stdout)["spec"]["comment"] == "there"
    assert shell(*options, "--ensure").returncode == 0


def test_a_spec_can_come_from_a_file_or_a_pipe_with_members_of_the_future(shell: Shell) -> None:
    whole = json.dumps({"spec": spec("soc", future=[1])})
    done = shell("destinations", "create", "--file", "-", "--comment", "mine", input=whole)
    assert done.returncode == 0, done.stderr
    (made,) = shell.api.destinations.values()
    assert made["spec"] == spec("soc", future=[1], comment="mine")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["destinations", "create", "--name", "x"], "destination_type"),
        (["destinations", "create", "--name", "x" * 129, "--type", "file", "--location", "/a"], "128"),
        (["destinations", "create", "--file", "/nonexistent"], "No such file"),
        (["destinations", "update", "d-1"], "nothing to change"),
        (["destinations", "list", "--limit", "0"], "--limit"),
        (["destinations", "list", "--page-size", "501", "--all"], "limit: found 501"),
        (["audits", "--dt-from", "soonish"], "dt_from"),
        (["auth-audits", "--dt-to", "now-"], "dt_to"),
        (["audits", "--follow", "--dt-to", "now"], "--dt-to"),
        (["audits", "--cel-expression", "x" * 1025], "1024"),
        (["destinations", "add-filter", "d-1", "--filter-type", "colour", "--value", "x"], "invalid choice"),
    ],
)
def test_wrong_usage_exits_2_and_asks_nobody(shell: Shell, arguments: list[str], said: str) -> None:
    done = shell(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert shell.api.receiver.requests == []


def test_without_a_server_or_with_two_identities_nothing_is_asked(shell: Shell) -> None:
    assert command("audits", "-c", str(shell.folder / "none.yaml")).returncode == 2
    done = shell("audits", "--service-account", str(shell.token))
    assert done.returncode == 2
    assert "one of the two" in done.stderr
    assert command("audits", "--url", "ftp://a.example").returncode == 2
    assert command("audits", "--url", shell.api.url, "--token-file", "/nonexistent").returncode == 2


def test_plain_http_to_another_host_is_warned_of(shell: Shell) -> None:
    elsewhere = command("audits", "--url", "http://audits.invalid", "--token-file", str(shell.token))
    assert elsewhere.returncode == 1
    assert "warning: plain http to audits.invalid" in elsewhere.stderr
    assert "warning" not in shell("audits").stderr


def test_a_refusal_exits_1_with_the_servers_words_and_no_token(shell: Shell) -> None:
    shell.api.tokens.clear()
    done = shell("audits")
    assert done.returncode == 1
    assert "401: UNAUTHORIZED: the token is not known" in done.stderr
    assert TOKEN not in done.stderr


def test_lists_are_columns_for_pipes_and_json_lines_for_programs(shell: Shell) -> None:
    for n in range(3):
        shell.api.put(f"d{n}", comment=HOSTILE, filters=[{"filter_type": "hostname", "value": "h", "or_list": ["i"]}])
    shell.api.put("evil", location=HOSTILE)
    plain = shell("destinations", "list").stdout
    assert [line.split()[1] for line in plain.splitlines()] == ["name", "d0", "d1", "d2", "evil"]
    assert "hostname=h|i" in plain
    assert not set(plain) & set("\x1b\x07\u202e")
    assert shell.json("destinations", "list") == list(shell.api.destinations.values())
    assert len(shell.json("destinations", "list", "--limit", "2")) == 2
    assert len(shell.json("destinations", "list", "--page-size", "1", "--all")) == 4


def test_lists_are_tables_on_a_terminal(shell: Shell) -> None:
    shell.api.put("soc", location=HOSTILE)
    leader, follower = pty.openpty()
    arguments = [sys.executable, "-m", "agent.cli", "destinations", "list", *shell.connection()]
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    with subprocess.Popen(arguments, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
        assert process.wait(GENEROUS_SECONDS) == 0, shown
    os.close(leader)
    text = shown.decode()
    assert "┃ name" in text and "│ soc" in text
    assert "\x1b]0;" not in text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def test_every_filter_of_the_records_is_an_option(shell: Shell) -> None:
    shell(
        *[
            "audits",
            "--user-id",
            "u",
            "--dt-from",
            "2026-05-04",
            "--dt-to",
            "",
            "--action",
            "CREATE",
            "--target-id",
            "t",
        ],
        *[
            "--token-id",
            "k",
            "--api-name",
            "n",
            "--target-resource-type",
            "r",
            "--org-id",
            "o",
            "--attribute-type",
            "a",
        ],
        *["--attribute-id", "i", "--attribute-org-id", "p", "--resources-behind-connector-id", "c"],
        *["--attribute-type-list", "x", "--attribute-type-list", "y", "--attribute-id-list", "z"],
        *["--cel-expression", "action == 'CREATE'", "--page-on", "time", "--page-sort", "desc", "--page-at-key", "7"],
        *["--search-direction", "backwards", "--limit", "3"],
    )
    assert shell.api.queries[0] == (
        "/v1/audits",
        {
            "user_id": ["u"],
            "dt_from": ["2026-05-04T00:00:00Z"],
            "dt_to": [""],
            "action": ["CREATE"],
            "target_id": ["t"],
            "token_id": ["k"],
            "api_name": ["n"],
            "target_resource_type": ["r"],
            "org_id": ["o"],
            "attribute_type": ["a"],
            "attribute_id": ["i"],
            "attribute_org_id": ["p"],
            "resources_behind_connector_id": ["c"],
            "attribute_type_list": ["x", "y"],
            "attribute_id_list": ["z"],
            "cel_expression": ["action == 'CREATE'"],
            "limit": ["3"],
            "page_on": ["time"],
            "page_at_key": ["7"],
            "page_sort": ["desc"],
            "search_direction": ["backwards"],
        },
    )
    names = "user_id session_id trace_id upstream_user_id upstream_idp login_org_id source_ip client_id event stage"
    for name in [*names.split(), "request_id", "result", "event_name", "cel_expression"]:
        shell.api.queries.clear()
        assert shell("auth-audits", f"--{name.replace('_', '-')}", "v").returncode == 0
        assert shell.api.queries[0][1][name] == ["v"]


def test_records_are_followed_and_each_is_shown_once(shell: Shell) -> None:
    def record(n: int) -> dict[str, Any]:
        return {"time": f"2026-05-04T12:00:{n:02d}Z", "action": "CREATE", "target_id": f"t-{n}"}

    shell.api.audits = [record(2), record(1)]
    output = shell.folder / "output"
    arguments = [sys.executable, "-m", "agent.cli", "audits", "--follow", "--json", "--interval", "100ms"]
    with output.open("wb") as out, subprocess.Popen([*arguments, *shell.connection()], stdout=out) as process:
        wait_until(lambda: len(output.read_text().splitlines()) == 2)
        shell.api.receiver.script(Reply(503))
        shell.api.audits = [record(3), record(0), *shell.api.audits]  # one of them late
        wait_until(lambda: len(output.read_text().splitlines()) >= 4)
        seen = len(shell.api.queries)
        wait_until(lambda: len(shell.api.queries) >= seen + 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(GENEROUS_SECONDS) == 0
    shown = [json.loads(line)["target_id"] for line in output.read_text().splitlines()]
    assert shown == ["t-1", "t-2", "t-0", "t-3"]


def test_the_configuration_says_which_server_as_whom_and_for_whom(shell: Shell) -> None:
    account = shell.folder / "account.json"
    account.write_text(document(f"{shell.api.url}/issuer"))
    bearer = {"service_account": f"${{file:{account}}}"}
    config = write_config(
        shell.folder / "config.yaml",
        agent={"org_id": "o-9"},
        sources=[{"name": "a", "include": ["/var/log/a"]}],
        control_plane={
            "url": shell.api.url,
            "authentication": {"authentication_type": "agilicus_bearer", "agilicus_bearer": bearer},
        },
    )
    assert command("audits", "-c", str(config)).returncode == 0
    assert command("audits", "-c", str(config), "--org-id", "").returncode == 0
    assert [query.get("org_id") for _, query in shell.api.queries] == [["o-9"], None]
    done = command("audits", "--url", shell.api.url, "--service-account", str(account))
    assert done.returncode == 0, done.stderr
    assert len(shell.api.issued) == 3
