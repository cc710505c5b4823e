"""The source ``stdin``: some-program | audit-agent run."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

import pytest

from tests.support.processes import GENEROUS_SECONDS, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Rig:
    """A configuration with standard input as its source, and the agent as the right end of a pipe."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.receiver = receiver
        self.log = folder / "agent.log"
        self.spool = folder / "state" / "spool" / "pipe"
        self.configure()

    def configure(self, **source: Any) -> None:
        sink = {
            "name": "sink",
            "destination_type": "webhook",
            "location": self.receiver.url,
            "delivery": {"retry": {"base": "50ms", "cap": "200ms"}},
        }
        self.config = write_config(
            self.folder / "config.yaml",
            agent={"state_dir": str(self.folder / "state"), "shutdown_grace_seconds": 5},
            sources=[{"name": "pipe", "type": "stdin", "format": "text"} | source],
            destinations=[sink],
        )

    def start(self, *arguments: str, stdin: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "agent.cli", "run", "-c", str(self.config), *arguments],
                stdin=stdin,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return self.log.read_text()

    def messages(self) -> list[str]:
        return [e["event"].get("message", e["event"].get("raw")) for e in self.receiver.events()]

    def spooled(self) -> int:
        return sum(path.stat().st_size for path in self.spool.glob("*.seg"))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Receiver() as receiver:
        yield Rig(tmp_path, receiver)


def test_once_delivers_every_line_of_a_pipe_and_exits_0(rig: Rig) -> None:
    with rig.start("--once") as process:
        process.communicate(b"".join(b"line %d\n" % n for n in range(30_000)) + b"no line feed", GENEROUS_SECONDS)
        assert process.returncode == 0, rig.output()
    assert rig.messages() == [*(f"line {n}" for n in range(30_000)), "no line feed"]
    assert set(rig.receiver.ids().values()) == {1}


def test_once_reads_a_redirected_file_and_an_empty_input(rig: Rig) -> None:
    path = rig.folder / "lines"
    path.write_text("a\nb\n")
    with path.open("rb") as lines, rig.start("--once", stdin=lines) as process:
        assert process.wait(GENEROUS_SECONDS) == 0, rig.output()
    with rig.start("--once", stdin=subprocess.DEVNULL) as process:
        assert process.wait(GENEROUS_SECONDS) == 0, rig.output()
    assert rig.messages() == ["a", "b"]


def test_lines_are_delivered_as_they_come_and_the_end_of_the_input_does_not_end_a_daemon(rig: Rig) -> None:
    with rig.start() as process:
        assert process.stdin
        for n in range(3):
            process.stdin.write(b"%d\n" % n)
            process.stdin.flush()
            wait_until(lambda n=n: rig.messages() == [str(i) for i in range(n + 1)], on_timeout=rig.output)
        process.stdin.write(b"rest")
        process.stdin.close()
        wait_until(lambda: "rest" in rig.messages(), on_timeout=rig.output)
        wait_until(lambda: "stdin_ended" in rig.output())
        assert process.poll() is None
        process.terminate()
        assert process.wait(GENEROUS_SECONDS) == 0


def test_at_the_bound_the_writer_waits_and_nothing_is_lost(rig: Rig) -> None:
    rig.configure(spool={"max_bytes": "1MiB"})
    rig.receiver.refuse()
    line = b"x" * 1000
    written = 0

    def write(pipe: IO[bytes]) -> None:
        nonlocal written
        for n in range(8000):
            pipe.write(b"%d %b\n" % (n, line))
            pipe.flush()
            written += 1
        pipe.close()

    with rig.start("--once", "--patience", "5m") as process:
        assert process.stdin
        writer = threading.Thread(target=write, args=(process.stdin,))
        writer.start()
        wait_until(lambda: "spool_full" in rig.output(), on_timeout=rig.output)
        assert rig.spooled() < 3 << 20
        assert written < 4000
        rig.receiver.accept()
        assert process.wait(GENEROUS_SECONDS) == 0, rig.output()
        writer.join(GENEROUS_SECONDS)
    assert [message.split()[0] for message in rig.messages()] == [str(n) for n in range(8000)]


def test_what_was_read_survives_sigkill(rig: Rig) -> None:
    rig.receiver.refuse()
    with rig.start() as process:
        assert process.stdin
        process.stdin.write(b"a\nb\n")
        process.stdin.flush()
        wait_until(rig.spooled, what="the lines in the spool", on_timeout=rig.output)
        process.kill()
    rig.receiver.accept()
    with rig.start("--once", stdin=subprocess.DEVNULL) as process:
        assert process.wait(GENEROUS_SECONDS) == 0, rig.output()
    assert rig.messages() == ["a", "b"]


def test_sigterm_keeps_the_part_of_a_line_that_was_read(rig: Rig) -> None:
    with rig.start() as process:
        assert process.stdin
        process.stdin.write(b"whole\npart")
        process.stdin.flush()
        wait_until(lambda: "whole" in rig.messages(), on_timeout=rig.output)
        process.terminate()
        assert process.wait(GENEROUS_SECONDS) == 0
    with rig.start("--once", stdin=subprocess.DEVNULL) as process:
        assert process.wait(GENEROUS_SECONDS) == 0, rig.output()
    assert rig.messages() == ["whole", "part"]


def test_an_endless_line_is_cut_and_the_next_one_is_whole(rig: Rig) -> None:
    rig.configure(max_line_bytes=100)
    with rig.start("--once") as process:
        process.communicate(b"x" * 1_000_000 + b"\nnext\n", GENEROUS_SECONDS)
        assert process.returncode == 0
    long, after = (event["event"] for event in rig.receiver.events())
    assert (long["line_bytes"], long["raw"], after["message"]) == (1_000_000, "x" * 100, "next")


def test_once_with_a_dead_destination_says_what_is_left_and_a_later_run_ships_it(rig: Rig) -> None:
    rig.receiver.refuse()
    with rig.start("--once", "--patience", "1s") as process:
        process.communicate(b"a\n", GENEROUS_SECONDS)
        assert process.returncode == 1
    rig.receiver.accept()
    with rig.start("--once", stdin=subprocess.DEVNULL) as process:
        assert process.wait(GENEROUS_SECONDS) == 0
    assert rig.messages() == ["a"]
