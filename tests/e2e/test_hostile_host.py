"""A host that is against the agent: few open files allowed, its state taken away."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import AgentProcess, wait_until, write_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _config(folder: Path) -> Path:
    logs = folder / "logs"
    logs.mkdir()
    return write_config(
        folder / "config.yaml",
        agent={"state_dir": str(folder / "state")},
        sources=[{"name": "app", "include": [f"{logs}/*.log"]}],
        destinations=[{"name": "out", "destination_type": "file", "location": str(folder / "out.jsonl")}],
    )


def test_500_files_are_shipped_where_64_may_be_open_until_more_is_asked_for(tmp_path: Path) -> None:
    config = _config(tmp_path)
    for n in range(500):
        (tmp_path / "logs" / f"{n}.log").write_text(f'{{"n": {n}}}\n')

    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", "run", "--once", "-c", str(config)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["event"]["n"] for line in lines) == list(range(500))


def test_a_state_that_is_removed_while_in_use_is_said(tmp_path: Path) -> None:
    config = _config(tmp_path)
    log = tmp_path / "logs" / "a.log"
    log.write_text('{"n": 1}\n')
    with AgentProcess(config) as agent:
        wait_until((tmp_path / "out.jsonl").exists, what="the first line", on_timeout=agent.output)
        for path in (tmp_path / "state").glob("state.db*"):
            path.unlink()
        wait_until(lambda: "removed or replaced while in use" in agent.output(), what="a word", on_timeout=agent.output)
        time.sleep(0.5)
        assert agent.output().count("state_write_failed") == 1


def _limited(room: int) -> Callable[[], None]:
    """Return what lets no file of a process grow beyond ``room`` bytes: what a full disk does to its writes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


@pytest.mark.parametrize("room", [0, 1_000, 24_000, 32_000, 36_000, 40_000, 45_000, 50_000])
def test_a_disk_that_is_full_at_whatever_moment_of_a_start_is_said_in_words(tmp_path: Path, room: int) -> None:
    config = _config(tmp_path)
    for n in range(20):
        (tmp_path / "logs" / f"{n}.log").write_text(f'{{"n": {n}}}\n')
    once = [sys.executable, "-m", "agent.cli", "run", "-c", str(config), "--once", "--patience", "1s"]

    done = subprocess.run(once, preexec_fn=_limited(room), capture_output=True, text=True, timeout=60, check=False)

    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "state" in done.stderr
    assert subprocess.run(once, capture_output=True, timeout=60, check=False).returncode == 0
    assert _numbers(tmp_path) == set(range(20))


@pytest.mark.parametrize("room", [36_000, 45_000])
def test_a_daemon_that_starts_on_a_full_disk_ships_once_there_is_room(tmp_path: Path, room: int) -> None:
    config = _config(tmp_path)
    for n in range(20):
        (tmp_path / "logs" / f"{n}.log").write_text(f'{{"n": {n}}}\n')
    command = [sys.executable, "-m", "agent.cli", "run", "-c", str(config)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, preexec_fn=_limited(room), stdout=said, stderr=said)  # noqa: PLW1509 - one thread
    try:
        output = (tmp_path / "said").read_text
        wait_until(lambda: "state_write_failed" in output(), what="a word", on_timeout=output)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        wait_until(lambda: _numbers(tmp_path) == set(range(20)), what="every line", on_timeout=output)
        process.terminate()
        assert process.wait(60) == 0, output()
    finally:
        process.kill()
        process.wait(60)


def _numbers(folder: Path) -> set[int]:
    out = folder / "out.jsonl"
    lines = out.read_bytes().split(b"\n")[:-1] if out.exists() else []
    return {json.loads(line)["event"]["n"] for line in lines}
