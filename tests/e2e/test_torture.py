"""A minute of the torture command: everything at once, judged by what was written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 1.0


@pytest.mark.limit(600)
def test_a_minute_of_rotations_kills_outages_and_full_disks_loses_nothing(tmp_path: Path) -> None:
    seed = os.environ.get("TORTURE_SEED") or str(time.time_ns() // 1_000_000 % (1 << 32))
    print(f"seed {seed}; to run it again: python -m tests.torture --seed {seed} --minutes {MINUTES:g}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--seed", seed, "--minutes", f"{MINUTES:g}"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout}\n{done.stderr}"
