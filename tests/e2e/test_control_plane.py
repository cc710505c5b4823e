"""Destinations from the Audits API, with the installed command as a process and real HTTP (WIRE 2.3)."""

from __future__ import annotations

import json
import random
import signal
import stat
import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audits_api import TOKEN, AuditsApi
from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, command, wait_until, write_config
from tests.support.receiver import Receiver, Reply
from tests.support.service_accounts import document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = {"retry": {"base": "100ms", "cap": "500ms", "probe": "200ms"}}


class Rig:
    """Logs, an API, a receiver, and an agent that knows no destination of its own."""

    def __init__(self, folder: Path, api: AuditsApi, receiver: Receiver) -> None:
        self.folder = folder
        self.api = api
        self.receiver = receiver
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.state = folder / "state"
        self.token = folder / "token"
        self.token.write_text(f"{TOKEN}\n")
        self.writer = LogWriter(self.logs / "app.log")
        self.config = self.configure()

    def configure(
        self,
        *destinations: dict[str, Any],
        plane: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
    ) -> Path:
        bearer = {"authentication_type": "agilicus_bearer", "agilicus_bearer": {"token": f"${{file:{self.token}}}"}}
        given = {"url": self.api.url, "refresh": "1s", "authentication": bearer, "delivery": QUICK}
        return write_config(
            self.folder / "config.yaml",
            agent={"state_dir": str(self.state), "shutdown_grace_seconds": 5, "org_id": "o-1"},
            sources=[{"name": "app", "include": [f"{self.logs}/*.log"], **(source or {})}],
            control_plane=given | (plane or {}),
            **({"destinations": list(destinations)} if destinations else {}),
        )

    def add(self, name: str, receiver: Receiver | None = None, **members: Any) -> dict[str, Any]:
        return self.api.put(name, location=(receiver or self.receiver).url, **members)

    def truth(self) -> list[tuple[str, int]]:
        return [("w", n) for n in range(self.writer.written)]

    def wait_for_all(self, process: AgentProcess, receiver: Receiver | None = None) -> None:
        wait_until(
            lambda: judge(self.truth(), (receiver or self.receiver).events()).missing == [],
            what="every line",
            on_timeout=process.output,
        )

    def looks(self) -> int:
        return sum(path == "/v1/audit_destinations" for path, _ in list(self.api.queries))

    def wait_for_a_look(self, process: AgentProcess) -> None:
        """Wait until a whole look at the list was begun and applied. A look is two requests, for two pages."""
        seen = self.looks()
        wait_until(lambda: self.looks() >= seen + 5, what="the list to be asked for", on_timeout=process.output)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with AuditsApi() as api, Receiver() as receiver:
        made = Rig(tmp_path, api, receiver)
        yield made
        made.writer.close()


def test_an_agent_without_destinations_of_its_own_delivers_to_those_of_the_api(rig: Rig) -> None:
    rig.add("soc")
    rig.writer.write(50)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()
    assert rig.api.queries[0][1]["org_id"] == ["o-1"]
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_it_starts_from_the_kept_list_while_the_api_is_down_and_goes_on_where_it_was(rig: Rig) -> None:
    rig.add("soc", authentication={"authentication_type": "http_bearer", "http_bearer": {"token": "abc"}})
    rig.writer.write(20)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        kept = rig.state / "control_plane.json"
        wait_until(kept.exists, on_timeout=process.output)
        assert process.stop() == 0
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    rig.api.receiver.refuse()
    rig.writer.write(20)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        process.wait_for_output("control_plane_unreachable")
        rig.api.receiver.accept()
        process.wait_for_output("control_plane_recovered")
        assert process.stop() == 0
        assert "abc" not in process.output()
    assert judge(rig.truth(), rig.receiver.events()).twice == 0
    assert {request.headers["authorization"] for request in rig.receiver.requests} == {"Bearer abc"}


def test_destinations_come_change_and_go_without_touching_the_others(rig: Rig) -> None:
    with Receiver() as second, Receiver() as moved:
        local = {"name": "local", "destination_type": "webhook", "location": rig.receiver.url, "delivery": QUICK}
        config = rig.configure(local)
        rig.writer.write(20)
        with AgentProcess(config) as process:
            rig.wait_for_all(process)
            rig.add("soc", second)
            rig.wait_for_all(process, second)
            rig.writer.write(20)
            rig.wait_for_all(process, second)
            rig.add("soc", moved)  # another location: the cursors stay
            rig.wait_for_a_look(process)
            rig.writer.write(20)
            wait_until(lambda: moved.ids().total() >= 20, on_timeout=process.output)
            rig.add("soc", moved, enabled=False)
            rig.wait_for_a_look(process)
            rig.writer.write(20)
            rig.wait_for_all(process)
            assert moved.ids().total() == 20
            rig.add("soc", moved)
            wait_until(lambda: moved.ids().total() >= 40, on_timeout=process.output)
            rig.add("soc", moved, filters=[{"filter_type": "subsystem", "value": "access"}])
            rig.wait_for_a_look(process)
            rig.writer.write(20)
            rig.wait_for_all(process)
            assert process.stop() == 0, process.output()
        assert judge(rig.truth(), rig.receiver.events()).twice == 0
        assert set(second.ids().values()) == set(moved.ids().values()) == {1}
        assert not second.ids().keys() & moved.ids().keys()
        assert moved.ids().total() == 40


def test_a_renamed_destination_goes_on_where_it_was(rig: Rig) -> None:
    made = rig.add("soc")
    rig.writer.write(20)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.api.destinations[made["metadata"]["id"]] = {**made, "spec": {**made["spec"], "name": "siem"}}
        process.wait_for_output("remote_destinations_changed")
        wait_until(lambda: "siem" in process.output(), on_timeout=process.output)
        rig.writer.write(20)
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_kills_around_renames_lose_nothing_even_where_a_start_begins_at_the_end(rig: Rig) -> None:
    made = rig.add("name-0")
    rig.configure(source={"start_at": "end"})
    rng = random.Random(7)
    with AgentProcess(rig.config) as process:
        process.wait_for_output("remote_destinations_changed")
        process.kill()
    for n in range(1, 6):
        rig.writer.write(20)
        with AgentProcess(rig.config) as process:
            wait_until(lambda n=n: process.output().count('"agent_started"') > n, on_timeout=process.output)
            time.sleep(rng.uniform(0, 0.5))
            rig.api.destinations[made["metadata"]["id"]] = {**made, "spec": {**made["spec"], "name": f"name-{n}"}}
            rig.writer.write(20)
            time.sleep(rng.uniform(0, 1.5))
            process.kill()
    with AgentProcess(rig.config) as process:
        wait_until(lambda: process.output().count('"agent_started"') > 6, on_timeout=process.output)
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()


def test_a_deleted_destination_gets_nothing_more_and_begins_anew_when_it_is_made_again(rig: Rig) -> None:
    made = rig.add("soc")
    rig.writer.write(10)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        del rig.api.destinations[made["metadata"]["id"]]
        wait_until(lambda: '"removed": ["soc"]' in process.output(), on_timeout=process.output)
        rig.writer.write(10)
        rig.wait_for_a_look(process)
        assert rig.receiver.ids().total() == 10
        rig.add("soc")
        rig.wait_for_all(process)
        wait_until(lambda: rig.receiver.ids().total() >= 30, on_timeout=process.output)
        assert process.stop() == 0, process.output()
    assert judge(rig.truth(), rig.receiver.events()).twice == 10


def test_a_list_cut_short_ends_no_lane(rig: Rig) -> None:
    rig.add("soc")
    rig.writer.write(10)
    answer = rig.api.receiver.answer
    empty = Reply(200, {"limit": 500, "audit_destinations": []})
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.api.receiver.answer = lambda r: empty if r.target.split("?")[0].endswith("destinations") else answer(r)
        seen = len(rig.api.receiver.requests)
        wait_until(lambda: len(rig.api.receiver.requests) >= seen + 6, on_timeout=process.output)
        rig.writer.write(10)
        rig.wait_for_all(process)
        assert process.stop() == 0
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_what_is_wrong_with_one_destination_is_said_and_harms_no_other(rig: Rig) -> None:
    rig.add("soc")
    rig.add("pigeon", destination_type="pigeon")
    rig.add("broken", filters="all")
    rig.add("taken")
    local = {"name": "taken", "destination_type": "webhook", "location": rig.receiver.url}
    config = rig.configure(local)
    rig.writer.write(10)
    with AgentProcess(config) as process:
        wait_until(lambda: rig.receiver.ids().total() >= 20, on_timeout=process.output)
        process.wait_for_output("destination_misconfigured")
        rig.wait_for_a_look(process)
        unusable = [json.loads(line) for line in process.output().splitlines() if "destination_unusable" in line]
        assert process.stop() == 0, process.output()
    assert {(each["destination"], each["level"]) for each in unusable} == {("broken", "error"), ("taken", "error")}
    assert len(unusable) == 2  # said once, not at every look
    assert "$.spec.filters" in next(e["problem"] for e in unusable if e["destination"] == "broken")
    assert "the configuration file has" in next(e["problem"] for e in unusable if e["destination"] == "taken")


def test_a_destination_that_cannot_be_run_for_a_while_keeps_its_place(rig: Rig) -> None:
    """Its lane was well, a mistake is made at the API, a log is deleted meanwhile, the mistake is undone."""
    rig.add("soc")
    rig.writer.write(10)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.add("soc", filters="all")
        process.wait_for_output("remote_destination_unusable")
        rig.writer.write(500)
        rig.wait_for_a_look(process)
        (rig.logs / "app.log").unlink()
        rig.wait_for_a_look(process)
        assert process.stop() == 0, process.output()
    assert process.output().count("remote_destination_unusable") == 1
    assert "destination_misconfigured" not in process.output()
    with AgentProcess(rig.config) as process:
        rig.wait_for_a_look(process)
        rig.add("soc")
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_run_once_exits_1_when_one_of_the_apis_destinations_cannot_be_run(rig: Rig) -> None:
    rig.add("soc")
    rig.add("broken", filters="all")
    rig.writer.write(5)
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 1, done.stderr
    assert rig.receiver.ids().total() == 5
    assert "$.spec.filters" in done.stderr


def test_what_the_api_says_is_never_a_reference_to_this_hosts_secrets(rig: Rig) -> None:
    private = rig.folder / "private"
    private.write_text("hunter2")
    reference = f"${{file:{private}}}"
    basic = {"authentication_type": "http_basic", "http_basic": {"username": "u", "password": reference}}
    rig.add("soc", authentication=basic, delivery={"headers": {"X-Stolen": reference}})
    rig.writer.write(5)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        assert process.stop() == 0
    for request in rig.receiver.requests:
        assert "x-stolen" not in request.headers
        assert b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == f"u:{reference}"


def test_a_secret_the_list_lacks_comes_from_the_object_credentials(rig: Rig) -> None:
    made = rig.add("soc", authentication={"authentication_type": "http_bearer"})
    spec = {"object_id": made["metadata"]["id"], "object_type": "audit_destination", "purpose": "auth"}
    rig.api.credentials = [
        {"spec": {**spec, "priority": 1}, "status": {"password": "low"}},
        {"spec": {**spec, "priority": 9}, "status": {"password": "high"}},
    ]
    rig.writer.write(5)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        assert process.stop() == 0
    assert {request.headers["authorization"] for request in rig.receiver.requests} == {"Bearer high"}


def test_credentials_that_cannot_be_had_are_said_once_and_trouble_that_destination_only(rig: Rig) -> None:
    rig.add("soc")
    rig.add("locked", authentication={"authentication_type": "http_bearer"})
    answer = rig.api.receiver.answer
    rig.api.receiver.answer = lambda r: Reply(403) if "object_credentials" in r.target else answer(r)
    rig.writer.write(5)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.wait_for_a_look(process)
        rig.api.credentials = [{"spec": {"priority": 1}, "status": {"password": "late"}}]
        rig.api.receiver.answer = answer
        wait_until(lambda: rig.receiver.ids().total() == 10, on_timeout=process.output)
        assert process.stop() == 0
    assert process.output().count('"destination_credentials_unknown"') == 1
    assert {request.headers.get("authorization") for request in rig.receiver.requests} == {None, "Bearer late"}


def test_an_encrypted_credential_is_said_with_its_key_harms_no_other_and_check_exits_2(rig: Rig) -> None:
    rig.add("soc")
    rig.add("locked", authentication={"authentication_type": "http_bearer"})
    status = {"is_encrypted": True, "encryption_key_id": "ab12cd", "password": "c2VjcmV0"}
    rig.api.credentials = [{"spec": {"priority": 1}, "status": status}]
    done = command("check", "--connect", "-c", str(rig.config))
    assert done.returncode == 2
    said = (
        "authentication.http_bearer.token: found an object credential that is encrypted for the key 'ab12cd';"
        " allowed: one that is not, or the secret itself"
    )
    assert f"destination locked: NOT usable: {said}" in done.stdout
    assert "destination soc: reachable" in done.stdout
    rig.writer.write(5)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.wait_for_a_look(process)
        assert process.stop() == 0
    told = [json.loads(line) for line in process.output().splitlines() if "destination_unusable" in line]
    assert [(each["destination"], each["level"], each["problem"]) for each in told] == [("locked", "error", said)]
    assert rig.receiver.ids().total() == 5
    assert "c2VjcmV0" not in process.output() + done.stdout + done.stderr


def test_one_token_of_a_service_account_serves_for_many_looks(rig: Rig) -> None:
    account = rig.folder / "account.json"
    account.write_text(document(f"{rig.api.url}/issuer"))
    bearer = {"service_account": f"${{file:{account}}}"}
    rig.configure(
        plane={"authentication": {"authentication_type": "agilicus_bearer", "agilicus_bearer": bearer}, "refresh": "1s"}
    )
    rig.add("soc")
    with AgentProcess(rig.config) as process:
        rig.wait_for_a_look(process)
        assert process.stop() == 0, process.output()
    assert len(rig.api.issued) == 1


def test_a_destination_with_agilicus_bearer_gets_the_agents_own_token(rig: Rig) -> None:
    rig.add("soc", authentication={"authentication_type": "agilicus_bearer"})
    rig.writer.write(5)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        assert process.stop() == 0
    assert {request.headers["authorization"] for request in rig.receiver.requests} == {f"Bearer {TOKEN}"}


def test_sighup_keeps_the_apis_destinations_and_applies_the_file(rig: Rig) -> None:
    rig.add("soc")
    rig.writer.write(10)
    with AgentProcess(rig.config) as process, Receiver() as second:
        rig.wait_for_all(process)
        rig.configure({"name": "local", "destination_type": "webhook", "location": second.url})
        process.signal(signal.SIGHUP)
        rig.wait_for_all(process, second)
        rig.writer.write(10)
        rig.wait_for_all(process)
        rig.wait_for_all(process, second)
        rig.configure({"name": "local", "destination_type": "webhook", "location": second.url}, plane={"url": None})
        process.signal(signal.SIGHUP)
        wait_until(lambda: process.output().count('"config_reloaded"') >= 3, on_timeout=process.output)
        rig.writer.write(10)
        rig.wait_for_all(process, second)
        assert process.stop() == 0, process.output()
    assert rig.receiver.ids().total() == 20
    assert set(rig.receiver.ids().values()) == {1}


def test_run_once_ships_to_the_apis_destinations_and_without_any_list_exits_1(rig: Rig) -> None:
    rig.add("soc")
    rig.writer.write(20)
    rig.api.receiver.refuse()
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 1
    assert "cannot connect" in done.stderr
    rig.api.receiver.accept()
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 0, done.stderr
    assert judge(rig.truth(), rig.receiver.events())


def test_check_connect_asks_the_api_and_tries_its_destinations(rig: Rig) -> None:
    rig.add("soc")
    rig.api.put("dead", location="http://127.0.0.1:9/x")
    done = command("check", "--connect", "-c", str(rig.config))
    assert done.returncode == 1
    rig.api.put("broken", filters=None)
    done = command("check", "--connect", "-c", str(rig.config))
    assert done.returncode == 2
    assert "destination soc: reachable" in done.stdout
    assert "destination dead: NOT reachable: Connection refused" in done.stdout
    assert "destination broken: NOT usable: no destination: " in done.stdout
    rig.api.tokens.clear()
    done = command("check", "--connect", "--json", "-c", str(rig.config))
    assert done.returncode == 1
    assert "401: UNAUTHORIZED" in json.loads(done.stdout)["control_plane"]["error"]
    assert not rig.state.exists()
