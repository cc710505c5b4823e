"""A running agent as a service manager and a probe see it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.processes import GENEROUS_SECONDS, AgentProcess, wait_until, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(GENEROUS_SECONDS)
        yield receiver


def configuration(directory: Path, *, listen: str | None = "127.0.0.1:0", stalled_after: float = 300) -> Path:
    logs = directory / "logs"
    logs.mkdir()
    (logs / "a.jsonl").write_text('{"n":1}\n{"n":2}\n')
    return write_config(
        directory / "config.yaml",
        agent={"state_dir": str(directory / "state"), "log_format": "json"},
        admin={"listen": listen, "stalled_after": stalled_after},
        sources=[{"name": "app", "include": [f"{logs}/*.jsonl"], "poll_interval": 0.2}],
        destinations=[{"name": "archive", "destination_type": "file", "location": f"file://{directory}/out.log"}],
    )


def until(manager: socket.socket, wanted: str) -> list[str]:
    """Receive up to and including the first message that contains ``wanted``."""
    seen: list[str] = []
    while not seen or wanted not in seen[-1]:
        seen.append(manager.recv(65536).decode())
    return seen


def url_of(agent: AgentProcess) -> str:
    agent.wait_for_output("admin_listening")
    found = re.search(r'"url": "([^"]+)"', agent.output())
    assert found
    return found.group(1)


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=GENEROUS_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_manager_hears_of_start_status_life_and_stop(tmp_path: Path, manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    with AgentProcess(configuration(tmp_path), environment=environment) as agent:
        before = until(manager, "READY=1")
        assert "1 sources, 1 destinations" in before[-1]
        until(manager, "WATCHDOG=1")
        until(manager, "WATCHDOG=1")
        agent.signal(signal.SIGTERM)
        until(manager, "STOPPING=1")
        assert agent.process
        assert agent.process.wait(GENEROUS_SECONDS) == 0


def test_a_watchdog_for_another_process_is_not_fed(tmp_path: Path, manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}
    with AgentProcess(configuration(tmp_path, listen=None), environment=environment) as agent:
        until(manager, "READY=1")
        agent.signal(signal.SIGTERM)
        assert not any("WATCHDOG=1" in message for message in until(manager, "STOPPING=1"))


def test_probes_see_a_ready_agent_and_its_counts(tmp_path: Path) -> None:
    with AgentProcess(configuration(tmp_path)) as agent:
        url = url_of(agent)
        wait_until(lambda: get(f"{url}/readyz")[0] == 200, what="readiness")
        sent = lambda: get(f"{url}/stats")[1]["audit_stats"]["audit_totals"]["destination_stats"]  # noqa: E731 # short
        wait_until(lambda: sent()["destination_summary_stats"]["total_sent"] == 2, what="both lines")
        assert agent.stop() == 0


def test_a_destination_that_takes_nothing_makes_the_agent_unready(tmp_path: Path) -> None:
    config = configuration(tmp_path, stalled_after=0.2)
    (tmp_path / "out.log").mkdir()
    with AgentProcess(config) as agent:
        url = url_of(agent)
        wait_until(lambda: "archive:" in str(get(f"{url}/readyz")), what="a reason that names the destination")
        assert get(f"{url}/readyz")[0] == 503
        assert get(f"{url}/healthz")[0] == 200


def test_the_endpoint_answers_while_the_agent_drains(tmp_path: Path, manager: socket.socket) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(GENEROUS_SECONDS)
        config = configuration(tmp_path)
        text = yaml.safe_load(config.read_text())
        text["agent"]["shutdown_grace_seconds"] = GENEROUS_SECONDS
        hook = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        text["destinations"] = [{"name": "silent", "destination_type": "webhook", "location": hook}]
        config.write_text(yaml.safe_dump(text))
        with AgentProcess(config, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as agent:
            url = url_of(agent)
            connection, _ = silent.accept()
            with connection:
                agent.signal(signal.SIGTERM)
                until(manager, "STOPPING=1")
                assert get(f"{url}/healthz")[0] == 200
                assert get(f"{url}/stats")[0] == 200


def test_an_address_in_use_ends_the_start_and_names_the_key(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with AgentProcess(configuration(tmp_path, listen=listen)) as agent:
            assert agent.process
            assert agent.process.wait(GENEROUS_SECONDS) == 1
            assert f"admin.listen: cannot listen on {listen}: {os.strerror(98)}" in agent.output()
