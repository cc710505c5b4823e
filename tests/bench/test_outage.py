"""The benchmark of an outage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench import backlog
from bench.lines import MARK

ROOT = Path(__file__).resolve().parents[2]


def test_a_backlog_written_in_blocks_is_the_lines_it_stands_for(tmp_path: Path) -> None:
    path = tmp_path / "backlog.log"
    backlog.append(path, backlog.BLOCK, 2 * backlog.BLOCK, 350)
    lines = path.read_bytes().splitlines(keepends=True)
    first = backlog.FIRST + backlog.BLOCK
    records = [json.loads(line) for line in lines]
    assert {len(line) for line in lines} == {350}
    assert [record["n"] for record in records] == list(range(first, first + 2 * backlog.BLOCK))
    assert [record["request_id"] for record in records] == [f"{MARK}{record['n']:012d}" for record in records]


def test_the_benchmark_of_an_outage_has_a_rotated_backlog_delivered_once_and_gives_its_figures() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.outage", "--lines", "60000", "--down-seconds", "0", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["fresh lines meanwhile"] > 0
    assert figures["RSS while it drains, MB"] > 0
