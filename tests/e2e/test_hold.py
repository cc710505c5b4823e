"""Rotated files stay readable for a lane that is behind, across removal and restart (PAINS 3, 10)."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def said(process: AgentProcess, event: str) -> list[dict[str, Any]]:
    """Return the log lines of ``event``."""
    return [line for line in map(json.loads, process.output().splitlines()) if line["event"] == event]


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
        released = [each["stream"] for each in said(process, "hold_released")]

        def settled() -> bool:
            """Whether the newest arrived, and each of the others, by an open descriptor, or is said lost."""
            lost = {each["stream"] for each in said(process, "bytes_lost")}
            parts = [{("w", n) for n in range(first, first + 2000)} for first in (0, 2000, 4000)]
            arrived = [not judge(part, receiver.events()).missing for part in parts]
            return arrived[2] and all(arrived[i] or stream in lost for i, stream in enumerate(released))

        wait_until(settled, what="all to arrive or be said lost", on_timeout=process.output)
        assert process.stop() == 0, process.output()
    gone = said(process, "hold_released")
    assert [each["level"] for each in gone] == ["error", "error"]
    assert f"{gone[0]['stream']}.copy.0" in oldest
    assert all(0 <= each["first_byte"] < each["end_byte"] for each in gone)
    lost = said(process, "bytes_lost")
    assert {each["stream"] for each in lost} <= {each["stream"] for each in gone}
    assert all(0 <= each["first_byte"] < each["end_byte"] and each["destination"] == "sink" for each in lost)
    assert len(said(process, "hold_waits")) == 1


def test_what_was_removed_while_it_was_open_survives_a_kill_once_it_is_held(tmp_path: Path, receiver: Receiver) -> None:
    rig = Rig(tmp_path, tmp_path / "state", receiver)
    with AgentProcess(rig.config) as process:
        process.wait_for_output("agent_started")
        rig.writer.write(3000)
        process.wait_for_output("destination_pauses")
        rig.writer.rotate()
        rig.remove_rotated()
        wait_until(lambda: len(rig.held()) == 1, what="a hold", on_timeout=process.output)
        process.wait_for_output("stream_held")
        process.kill()
    truth = [("w", n) for n in range(rig.writer.written)]
    receiver.accept()
    with AgentProcess(rig.config) as process:
        wait_until(lambda: not judge(truth, receiver.events()).missing, on_timeout=process.output)
        wait_until(lambda: rig.held() == [], what="the hold released", on_timeout=process.output)
        assert process.stop() == 0, process.output()
    assert judge(truth, receiver.events())


@pytest.mark.parametrize("options", ["compress", "compress\ndelaycompress"])
def test_logrotate_compresses_and_deletes_as_ever_while_a_destination_is_down_and_nothing_is_lost(
    tmp_path: Path, receiver: Receiver, options: str
) -> None:
    program = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program, "these tests need Debian's logrotate: apt-get install logrotate"
    rig = Rig(tmp_path, tmp_path / "state", receiver)
    rules = tmp_path / "logrotate.conf"
    rules.write_text(f"{rig.writer.path} {{\nrotate 2\ncreate\n{options}\n}}\n")
    receiver.accept()
    with AgentProcess(rig.config) as process:
        rig.writer.write(5)
        wait_until(lambda: len(receiver.events()) == 5, on_timeout=process.output)
        receiver.refuse()
        rounds = 4
        for generation in range(rounds):
            rig.writer.write(1000)
            done = subprocess.run(
                [program, "-f", "-s", str(tmp_path / "status"), str(rules)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
            rig.writer.reopen()
            wait_until(lambda n=generation: len(rig.held()) > n, what="a hold", on_timeout=process.output)
        members = sorted(path.name for path in rig.logs.glob("app.log.*"))
        assert members == ["app.log.1.gz" if options == "compress" else "app.log.1", "app.log.2.gz"]
        assert process.stop() == 0, process.output()
    receiver.accept()
    truth = [("w", n) for n in range(rig.writer.written)]
    with AgentProcess(rig.config) as process:
        wait_until(lambda: not judge(truth, receiver.events()).missing, on_timeout=process.output)
        wait_until(lambda: rig.held() == [], what="the holds released", on_timeout=process.output)
        assert process.stop() == 0, process.output()
    verdict = judge(truth, receiver.events())
    assert verdict, verdict
    streams = [event["unique_id"].partition(".")[0] for event in receiver.events() if event["event"]["n"] < 1005]
    assert len(set(streams)) == 1, "what was sent before the outage and after it bears the ids of one stream"


def _a_member_is_held(folder: Path, state: Path, receiver: Receiver, *, by: str) -> None:
    rig = Rig(folder, state, receiver)
    rig.writer.write(3000)
    (rig.logs / "app.log.1.gz").write_bytes(gzip.compress(rig.writer.path.read_bytes()))
    rig.writer.path.write_bytes(b"")
    rig.writer.write(10)
    with AgentProcess(rig.config) as process:
        wait_until(lambda: len(rig.held()) == 1, what="a hold", on_timeout=process.output)
        process.wait_for_output(f'"by": "{by}"')
        assert ("hold_copies" in process.output()) == (by == "copy")
        (rig.logs / "app.log.1.gz").unlink()
        assert process.stop() == 0, process.output()
    assert rig.held()[0].endswith(f".{by}.0.gz")
    receiver.accept()
    truth = [("w", n) for n in range(rig.writer.written)]
    with AgentProcess(rig.config) as process:
        wait_until(lambda: not judge(truth, receiver.events()).missing, on_timeout=process.output)
        wait_until(lambda: rig.held() == [], what="the hold released", on_timeout=process.output)
        assert process.stop() == 0, process.output()
    assert judge(truth, receiver.events())


def test_a_compressed_member_is_held_by_a_link(tmp_path: Path, receiver: Receiver) -> None:
    _a_member_is_held(tmp_path, tmp_path / "state", receiver, by="link")


def test_a_state_on_another_file_system_holds_by_a_copy_and_says_so(tmp_path: Path, receiver: Receiver) -> None:
    other = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        assert other.stat().st_dev != tmp_path.stat().st_dev, "/dev/shm is not another file system here"
        _a_member_is_held(tmp_path, other / "state", receiver, by="copy")
    finally:
        shutil.rmtree(other)
