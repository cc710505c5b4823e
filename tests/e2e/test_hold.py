"""Rotated files stay readable for a lane that is behind, across removal and restart (PAINS 3, 10)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Rig:
    """A writer, a receiver that is down, and an agent."""

    def __init__(self, folder: Path, state: Path, receiver: Receiver, **more: Any) -> None:
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.state = state
        self.receiver = receiver
        self.writer = LogWriter(self.logs / "app.log")
        delivery = {"retry": {"base": "100ms", "cap": "300ms"}, "queue_max_bytes": "64KiB", "max_bytes": "16KiB"}
        self.config = write_config(
            folder / "config.yaml",
            agent={"state_dir": str(state), "shutdown_grace_seconds": 2},
            sources=[{"name": "app", "include": [f"{self.logs}/*.log"], "poll_interval": "500ms"}],
            destinations=[
                {"name": "sink", "destination_type": "webhook", "location": receiver.url, "delivery": delivery}
            ],
            **more,
        )

    def held(self) -> list[str]:
        folder = self.state / "holds" / "app"
        return [path.name for path in folder.iterdir() if path.suffix != ".part"] if folder.is_dir() else []

    def remove_rotated(self) -> None:
        for path in self.logs.glob("app.log.*"):
            path.unlink()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        made.refuse()
        yield made


def test_pain_10_rotated_and_removed_while_behind_then_restarted_everything_arrives(
    tmp_path: Path, receiver: Receiver
) -> None:
    rig = Rig(tmp_path, tmp_path / "state", receiver)
    with AgentProcess(rig.config) as process:
        for generation in range(3):
            rig.writer.write(2000)
            rig.writer.rotate()
            wait_until(lambda n=generation: len(rig.held()) > n, what="a hold", on_timeout=process.output)
        # logrotate compresses no file that has a second name.
        assert {path.stat().st_nlink for path in rig.logs.iterdir()} == {1}
        rig.remove_rotated()
        rig.writer.write(10)
        assert process.stop() == 0, process.output()
    truth = [("w", n) for n in range(rig.writer.written)]
    with AgentProcess(rig.config) as process:
        process.wait_for_output("agent_started")
        receiver.accept()
        wait_until(lambda: not judge(truth, receiver.events()).missing, on_timeout=process.output)
        wait_until(lambda: rig.held() == [], what="the holds released", on_timeout=process.output)
        assert process.stop() == 0, process.output()
    verdict = judge(truth, receiver.events())
    assert verdict, verdict
    assert "bytes_lost" not in process.output()


def test_what_is_rotated_and_removed_right_before_a_stop_is_held_by_the_stop(
    tmp_path: Path, receiver: Receiver
) -> None:
    rig = Rig(tmp_path, tmp_path / "state", receiver)
    with AgentProcess(rig.config) as process:
        process.wait_for_output("agent_started")
        rig.writer.write(3000)
        process.wait_for_output("destination_pauses")
        rig.writer.rotate()
        rig.remove_rotated()
        assert process.stop() == 0, process.output()
    truth = [("w", n) for n in range(rig.writer.written)]
    receiver.accept()
    with AgentProcess(rig.config) as process:
        wait_until(lambda: not judge(truth, receiver.events()).missing, on_timeout=process.output)
        assert process.stop() == 0, process.output()


def test_holds_beyond_their_bound_go_oldest_first_and_the_lost_range_is_named(
    tmp_path: Path, receiver: Receiver
) -> None:
    rig = Rig(tmp_path, tmp_path / "state", receiver, hold={"max_bytes": "300kB"})
    with AgentProcess(rig.config) as process:
        process.wait_for_output("agent_started")
        rig.writer.write(2000)
        rig.writer.rotate()
        wait_until(lambda: len(rig.held()) == 1, what="a hold", on_timeout=process.output)
        oldest = rig.held()
        for _ in range(2):
            rig.writer.write(2000)
            rig.writer.rotate()
        process.wait_for_output("hold_waits")
        assert rig.held() == oldest, "a file that still stands is not worth a hold"
        assert "hold_released" not in process.output()
        rig.remove_rotated()
        wait_until(lambda: process.output().count("hold_released") == 2, what="two lost", on_timeout=process.output)
        wait_until(lambda: len(rig.held()) == 1, what="the newest held", on_timeout=process.output)
        receiver.accept()
        process.wait_for_output("bytes_lost")
        newest = {("w", n) for n in range(4000, 6000)}
        wait_until(lambda: not judge(newest, receiver.events()).missing, on_timeout=process.output)
        assert process.stop() == 0, process.output()
    said = [json.loads(line) for line in process.output().splitlines()]
    released = [each for each in said if each["event"] == "hold_released"]
    assert [each["level"] for each in released] == ["error", "error"]
    assert f"{released[0]['stream']}.copy.0" in oldest
    assert all(0 <= each["first_byte"] < each["end_byte"] for each in released)
    lost = [each for each in said if each["event"] == "bytes_lost"]
    assert {each["stream"] for each in lost} == {each["stream"] for each in released}
    assert all(0 <= each["first_byte"] < each["end_byte"] and each["destination"] == "sink" for each in lost)
    assert len([each for each in said if each["event"] == "hold_waits"]) == 1
