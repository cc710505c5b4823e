"""PAINS 12: the agent is killed again and again while a writer appends and rotates."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver, Reply

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20


@pytest.mark.limit(300)
def test_pain_12_kill_9_at_any_moment_loses_nothing_and_repeats_only_with_the_first_id(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = LogWriter(logs / "app.log")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Receiver() as receiver:
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(tmp_path / "state")},
            sources=[{"name": "app", "include": [f"{logs}/*.log"]}],
            destinations=[
                {
                    "name": "sink",
                    "destination_type": "webhook",
                    "location": receiver.url,
                    "max_events_per_transaction": 100,
                }
            ],
        )
        process = AgentProcess(config)
        for _ in range(KILLS):
            process.start()
            # Long enough to start reading most times, and at an arbitrary point of it.
            end = time.monotonic() + 0.4 + chance.random() * 0.6
            while time.monotonic() < end:
                writer.write(chance.randrange(1, 40))
                if chance.random() < 0.03:
                    writer.rotate()
                time.sleep(0.005)
            process.kill()
            writer.write(chance.randrange(0, 20))
            if chance.random() < 0.5:
                writer.rotate()
        process.start()
        writer.write(5)
        truth = [("w", n) for n in range(writer.written)]
        try:
            wait_until(
                lambda: len({e["unique_id"] for e in receiver.events()}) >= len(truth),
                what="every line at the receiver",
                on_timeout=lambda: f"{judge(truth, receiver.events())}\n{process.output()[-3000:]}",
            )
            assert process.stop() == 0, process.output()
        finally:
            process.kill()
            writer.close()
        verdict = judge(truth, receiver.events())
        assert verdict, f"seed {seed}: {verdict}\n{process.output()[-3000:]}"
        print(f"{len(truth)} lines, {verdict}")


def test_pain_12_after_a_kill_no_id_names_another_line_though_the_file_was_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_text('{"line": "header"}\n')
    with Receiver() as receiver:
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(tmp_path / "state")},
            sources=[{"name": "app", "include": [str(log)]}],
            destinations=[{"name": "sink", "destination_type": "webhook", "location": receiver.url}],
        )
        with AgentProcess(config) as process:
            wait_until(lambda: len(receiver.events()) == 1, what="the header", on_timeout=process.output)
            receiver.answer = lambda _request: Reply(503)
            with log.open("a") as file:
                file.write('{"line": "one"}\n{"line": "two"}\n')
            wait_until(lambda: len(_lines(receiver)) == 3, what="an attempt", on_timeout=process.output)
        receiver.answer = lambda _request: Reply()
        log.write_text('{"line": "header"}\n{"line": "new"}\n{"line": "newer"}\n{"line": "newest"}\n')
        with AgentProcess(config) as process:
            wait_until(lambda: len(_lines(receiver)) == 7, what="the new lines", on_timeout=process.output)
            with log.open("a") as file:
                file.write('{"line": "last"}\n')
            wait_until(lambda: len(_lines(receiver)) == 8, what="the last line", on_timeout=process.output)
            process.kill()
        with AgentProcess(config) as process:
            with log.open("a") as file:
                file.write('{"line": "after"}\n')
            wait_until(lambda: len(_lines(receiver)) == 9, what="a line after", on_timeout=process.output)
            assert process.stop() == 0, process.output()
    lines = _lines(receiver)
    assert all(len(named) == 1 for named in lines.values()), lines
    meanings = sorted(line for named in lines.values() for line in named)
    assert meanings == sorted(["header", "one", "two", "header", "new", "newer", "newest", "last", "after"])


def _lines(receiver: Receiver) -> dict[str, set[str]]:
    """Return id → the lines that were sent under it, in whatever attempt."""
    found: dict[str, set[str]] = {}
    for request in list(receiver.requests):
        for event in request.events():
            found.setdefault(event["unique_id"], set()).add(event["event"]["line"])
    return found
