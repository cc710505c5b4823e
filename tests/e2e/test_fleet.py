"""Several agents, one collector that is killed in the midst of it: afterwards every line of every host is proved."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from tests.collector.calls import Process
from tests.support.logwriter import LogWriter
from tests.support.processes import AgentProcess, command, wait_until, write_config

if TYPE_CHECKING:
    from pathlib import Path

LINES = 100_000


def host(folder: Path, url: str, lines: int) -> Path:
    """Make a host with ``lines`` in its log; return the configuration of its agent."""
    (folder / "logs").mkdir(parents=True)
    writer = LogWriter(folder / "logs" / "app.log")
    writer.write_at_once(lines // 2)
    writer.rotate()
    writer.write_at_once(lines - lines // 2)
    writer.close()
    return write_config(
        folder / "config.yaml",
        agent={"state_dir": str(folder / "state")},
        sources=[{"name": "app", "include": [f"{folder}/logs/*.log"]}],
        destinations=[
            {
                "name": "hub",
                "destination_type": "webhook",
                "location": f"{url}/v1/bulk_audit_events",
                "max_events_per_transaction": 500,
                "delivery": {"retry": {"base": "100ms", "cap": "500ms"}},
            }
        ],
    )


def count(collector: Process) -> int:
    with closing(sqlite3.connect(collector.database)) as database:
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])


@pytest.mark.limit(300)
def test_two_agents_a_third_joining_and_a_collector_that_is_killed_leave_nothing_missing(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = Process(tmp_path)
        url = first.url()
        port = url.rpartition(":")[2]
        configs = [host(tmp_path / name, url, LINES) for name in ("one", "two")]
        for config in configs:
            stack.enter_context(AgentProcess(config))
        wait_until(lambda: count(first) > LINES // 4, what="some to arrive", on_timeout=first.output)
        first.end(signal.SIGKILL)
        acknowledged = len(first.stored())
        assert acknowledged < 2 * LINES, "killed too late to show anything"
        again = Process(tmp_path, "--listen", f"127.0.0.1:{port}")
        stack.callback(again.end)
        again.url()
        configs.append(host(tmp_path / "three", url, LINES // 10))
        stack.enter_context(AgentProcess(configs[-1]))
        everything = 2 * LINES + LINES // 10
        wait_until(lambda: count(again) >= everything, what="all to arrive", on_timeout=again.output, seconds=240)
        stored = again.stored()
        assert len(stored) == len(set(stored)) == everything
        for config, lines in zip(configs, (LINES, LINES, LINES // 10), strict=True):
            done = command("reconcile", "-c", str(config), "--json", "--against", url)
            found = json.loads(done.stdout)
            assert (done.returncode, found["complete"], found["totals"]["arrived"]) == (0, True, lines), done.stderr
