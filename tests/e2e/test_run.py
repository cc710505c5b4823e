"""The installed command as a process: real files, a real receiver, signals."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, command, wait_until, write_config
from tests.support.receiver import Receiver, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Rig:
    """A folder of logs, a receiver and a configuration that joins them."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.receiver = receiver
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.state = folder / "state"
        self.writer = LogWriter(self.logs / "app.log")
        self.sink: dict[str, Any] = {
            "name": "sink",
            "destination_type": "webhook",
            "location": receiver.url,
            "max_events_per_transaction": 50,
            "delivery": {"retry": {"base": "100ms", "cap": "500ms", "probe": "200ms"}},
        }
        self.config = self.configure(self.sink)

    def configure(self, *destinations: dict[str, Any], **more: Any) -> Path:
        parts = {
            "agent": {"state_dir": str(self.state), "shutdown_grace_seconds": 5},
            "sources": [{"name": "app", "include": [f"{self.logs}/*.log"]}],
            "destinations": list(destinations),
        }
        return write_config(self.folder / "config.yaml", **(parts | more))

    def truth(self) -> list[tuple[str, int]]:
        return [("w", n) for n in range(self.writer.written)]

    def wait_for_all(self, process: AgentProcess | None = None) -> None:
        wait_until(
            lambda: judge(self.truth(), self.receiver.events()).missing == [],
            what="every line",
            on_timeout=lambda: process.output() if process else "",
        )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Receiver() as receiver:
        made = Rig(tmp_path, receiver)
        yield made
        made.writer.close()


def test_once_ships_what_is_there_and_exits_0(rig: Rig) -> None:
    rig.writer.write(500)
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 0, done.stderr
    verdict = judge(rig.truth(), rig.receiver.events())
    assert verdict and verdict.twice == 0, verdict


def test_once_again_sends_only_what_is_new(rig: Rig) -> None:
    rig.writer.write(20)
    assert command("run", "--once", "-c", str(rig.config)).returncode == 0
    rig.writer.write(7)
    rig.writer.rotate()
    rig.writer.write(3)
    assert command("run", "--once", "-c", str(rig.config)).returncode == 0
    verdict = judge(rig.truth(), rig.receiver.events())
    assert verdict and verdict.twice == 0, verdict


def test_once_with_a_dead_destination_says_what_is_left_and_exits_1(rig: Rig) -> None:
    rig.writer.write(20)
    rig.receiver.refuse()
    done = command("run", "--once", "--patience", "1s", "-c", str(rig.config))
    assert done.returncode == 1
    assert "sink" in done.stderr and "bytes undelivered" in done.stderr
    rig.receiver.accept()
    assert command("run", "--once", "-c", str(rig.config)).returncode == 0
    assert judge(rig.truth(), rig.receiver.events())


def test_sigterm_drains_and_a_second_start_repeats_nothing(rig: Rig) -> None:
    rig.writer.write(200)
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)
        rig.writer.write(30)
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()
    with AgentProcess(rig.config) as process:
        rig.writer.write(5)
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_pain_25_sigterm_ends_within_the_grace_while_the_destination_hangs(rig: Rig) -> None:
    rig.receiver.answer = lambda _request: Reply(hang=True)
    rig.writer.write(10)
    with AgentProcess(rig.config) as process:
        wait_until(lambda: rig.receiver.connections, on_timeout=process.output)
        began = time.monotonic()
        assert process.stop() == 0, process.output()
        assert time.monotonic() - began < 30
    rig.receiver.answer = lambda _request: Reply()
    with AgentProcess(rig.config) as process:
        rig.wait_for_all(process)


def test_a_receiver_that_comes_up_late_gets_everything(rig: Rig) -> None:
    rig.receiver.refuse()
    rig.writer.write(100)
    with AgentProcess(rig.config) as process:
        process.wait_for_output("destination_pauses")
        rig.writer.write(50)
        rig.receiver.accept()
        rig.wait_for_all(process)
        assert process.stop() == 0
    assert judge(rig.truth(), rig.receiver.events())


def test_pain_24_a_dead_destination_does_not_keep_lines_from_the_other(rig: Rig) -> None:
    dead = rig.sink | {"name": "dead", "location": "http://127.0.0.1:9/nobody"}
    config = rig.configure(rig.sink, dead)
    rig.writer.write(300)
    with AgentProcess(config) as process:
        rig.wait_for_all(process)
        rig.writer.write(10)
        rig.wait_for_all(process)
        assert process.stop() == 0, process.output()


def test_sighup_applies_a_new_configuration_and_a_broken_one_changes_nothing(rig: Rig) -> None:
    rig.writer.write(10)
    with AgentProcess(rig.config) as process, Receiver() as second:
        rig.wait_for_all(process)
        rig.config.write_text("sources: {}\n")
        process.signal(signal.SIGHUP)
        process.wait_for_output("config_refused")
        rig.configure(rig.sink, rig.sink | {"name": "second", "location": second.url})
        process.signal(signal.SIGHUP)
        process.wait_for_output("config_reloaded")
        rig.writer.write(10)
        rig.wait_for_all(process)
        wait_until(lambda: judge(rig.truth(), second.events()).missing == [], on_timeout=process.output)
        assert process.stop() == 0
    # The lane that did not change went on: nothing of it was sent again.
    assert judge(rig.truth(), rig.receiver.events()).twice == 0


def test_a_second_agent_on_the_same_state_is_refused_by_name(rig: Rig) -> None:
    with AgentProcess(rig.config) as process:
        process.wait_for_output("agent_started")
        other = command("run", "-c", str(rig.config))
        assert other.returncode == 1
        assert process.process is not None
        assert f"in use by another agent (pid {process.process.pid})" in other.stderr


def test_pain_17_a_wrong_configuration_exits_2_and_touches_nothing(rig: Rig) -> None:
    config = rig.configure(rig.sink | {"max_events_per_transaction": "many"})
    done = command("run", "-c", str(config))
    assert done.returncode == 2
    assert "max_events_per_transaction" in done.stderr
    assert not rig.state.exists()


def test_a_destination_that_cannot_work_is_reported_and_harms_no_other(rig: Rig) -> None:
    config = rig.configure(rig.sink, {"name": "odd", "destination_type": "pigeon", "location": "coop"})
    rig.writer.write(10)
    with AgentProcess(config) as process:
        rig.wait_for_all(process)
        assert "destination_misconfigured" in process.output()


def test_pain_13_refused_events_are_kept_with_the_reason_and_the_rest_flows(rig: Rig) -> None:
    bad = 7

    def answer(request: Any) -> Reply:
        refused = [e["unique_id"] for e in request.events() if e["event"]["n"] == bad]
        entries = [{"unique_id": i, "status": "invalid", "status_message": "no"} for i in refused]
        return Reply(201, {"success_events": [], "discard_events": entries, "retry_events": []})

    rig.receiver.answer = answer
    rig.writer.write(20)
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 1
    assert "1 events refused, kept in rejects" in done.stderr
    kept = [line for path in (rig.state / "rejects" / "sink").iterdir() for line in path.read_text().splitlines()]
    assert len(kept) == 1 and '"n": 7' in kept[0] and '"drop_rejected"' in kept[0]
