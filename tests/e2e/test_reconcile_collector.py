"""``audit-agent reconcile`` against a collector: proved by ranges of offsets, missing events named with their bytes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from tests.collector.calls import Process
from tests.support.logwriter import LogWriter
from tests.support.processes import command, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = 3000


@contextmanager
def shipped(folder: Path) -> Iterator[tuple[Path, Process]]:
    """Ship 3,000 lines in three files to a collector that wants a token."""
    (folder / "logs").mkdir()
    (folder / "token").write_text("the-token\n")
    writer = LogWriter(folder / "logs" / "app.log")
    for _ in range(3):
        writer.write_at_once(LINES // 3)
        writer.rotate()
    writer.close()
    collector = Process(folder, "--token-file", str(folder / "token"))
    try:
        config = write_config(
            folder / "config.yaml",
            agent={"state_dir": str(folder / "state")},
            sources=[{"name": "app", "include": [f"{folder}/logs/*.log"]}],
            destinations=[
                {
                    "name": "hub",
                    "destination_type": "webhook",
                    "location": f"{collector.url()}/v1/bulk_audit_events",
                    "authentication": {
                        "authentication_type": "http_bearer",
                        "http_bearer": {"token": f"${{file:{folder}/token}}"},
                    },
                }
            ],
        )
        done = command("run", "--once", "-c", str(config))
        assert done.returncode == 0, done.stderr
        yield config, collector
    finally:
        collector.process.terminate()
        collector.process.wait(60)


def reconcile(config: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = command("reconcile", "-c", str(config), "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_everything_that_was_shipped_is_proved_and_what_is_taken_away_is_missed(tmp_path: Path) -> None:
    with shipped(tmp_path) as (config, collector):
        for how in (("--destination", "hub"), ("--against", collector.url())):
            code, found = reconcile(config, *how)
            assert (code, found["complete"], found["destination"]) == (0, True, "hub")
            assert (found["totals"]["arrived"], found["totals"]["missing"]) == (LINES, 0)
        with closing(sqlite3.connect(collector.database)) as database, database:
            gone = [row[0] for row in database.execute("SELECT id FROM events ORDER BY id LIMIT 10 OFFSET 100")]
            database.execute("DELETE FROM ids WHERE id BETWEEN ? AND ?", (gone[0], gone[-1]))
        code, found = reconcile(config, "--destination", "hub")
        assert (code, found["totals"]["missing"], found["totals"]["arrived"]) == (1, 10, LINES - 10)
        ((stream, where),) = [(each, each["ranges"]["missing"]) for each in found["streams"] if each["ranges"]]
        assert sum(each["events"] for each in where) == 10
        data = (tmp_path / "logs" / stream["path"].rpartition("/")[2]).read_bytes()
        (run,) = where
        assert data[run["first"] : run["end"]].count(b"\n") == 10


def test_a_token_of_its_own_is_used_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    with shipped(tmp_path) as (config, collector):
        wrong = tmp_path / "wrong"
        wrong.write_text("wrong\n")
        refused = command("reconcile", "-c", str(config), "--against", collector.url(), "--token-file", str(wrong))
        assert (refused.returncode, "HTTP 401" in refused.stderr) == (1, True), refused.stderr
        assert "wrong" not in refused.stderr
        code, found = reconcile(config, "--against", collector.url(), "--token-file", str(tmp_path / "token"))
        assert (code, found["totals"]["arrived"]) == (0, LINES)
