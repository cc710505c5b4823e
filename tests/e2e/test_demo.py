"""``demo``: collector, agent and this host's own logs in one command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.processes import command

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_delivers_its_own_lines_and_those_of_this_host_and_says_so(tmp_path: Path) -> None:
    done = command("demo", "--for", "3s", env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr + done.stdout
    read = re.search(r"read (\d+) events", done.stdout)
    stored = re.search(r"stored (\d+) in the collector, 0 rejected, 0 bytes left", done.stdout)
    assert read and stored and int(read.group(1)) == int(stored.group(1)) >= 3
    assert "every event was delivered" in done.stdout
    assert list(tmp_path.iterdir()) == []
