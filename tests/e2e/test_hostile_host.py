"""A host that is against the agent: few open files allowed, its state taken away."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.support.processes import AgentProcess, wait_until, write_config

if TYPE_CHECKING:
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
