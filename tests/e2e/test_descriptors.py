"""A host that lets the agent open few files: fewer are kept open, nothing is skipped."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GENEROUS_SECONDS, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path

SOURCES, FILES, LIMIT = 3, 300, 64


@pytest.mark.limit(240)
def test_pain_11_three_sources_of_many_busy_files_share_64_descriptors(tmp_path: Path) -> None:
    logs = [tmp_path / f"s{n}" / f"app{i}.log" for n in range(SOURCES) for i in range(FILES)]
    for path in logs:
        path.parent.mkdir(exist_ok=True)

    def write(turn: int) -> None:
        for path in logs:
            with path.open("a") as log:
                log.write(f'{{"line": "{path.parent.name}/{path.name} {turn}"}}\n')

    write(0)
    with Receiver() as receiver:
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(tmp_path / "state")},
            sources=[{"name": f"s{n}", "include": [f"{tmp_path}/s{n}/*.log"]} for n in range(SOURCES)],
            destinations=[{"name": "sink", "destination_type": "webhook", "location": receiver.url}],
        )
        output = tmp_path / "output"
        limited = ["sh", "-c", f'ulimit -n {LIMIT} && exec "$@"', "sh"]
        with output.open("wb") as said:
            process = subprocess.Popen(
                [*limited, sys.executable, "-m", "agent.cli", "run", "-c", str(config)], stdout=said, stderr=said
            )
        try:
            for turn in range(1, 4):
                write(turn)
                wait_until(
                    lambda turn=turn: len(receiver.ids()) >= len(logs) * (turn + 1),
                    what=f"turn {turn}",
                    on_timeout=lambda: output.read_text()[-3000:],
                )
            process.terminate()
            assert process.wait(GENEROUS_SECONDS) == 0, output.read_text()
        finally:
            process.kill()
            process.wait()
    assert {e["event"]["line"] for e in receiver.events()} == {
        f"{path.parent.name}/{path.name} {turn}" for path in logs for turn in range(4)
    }
    assert "file_unreadable" not in output.read_text()
