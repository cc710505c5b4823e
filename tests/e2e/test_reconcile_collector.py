"""``audit-agent reconcile`` against a collector: proved by ranges of offsets, missing events named with their bytes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from tests.collector.calls import TIME, Process
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


def test_events_with_ids_of_their_own_are_said_to_be_unchecked_and_the_others_are_proved(tmp_path: Path) -> None:
    with shipped(tmp_path) as (config, collector):
        own = [{"unique_id": f"own-{n}", "create_time": TIME, "event": {"n": n}} for n in range(40)]
        lines = [json.dumps(event) for event in own] + [json.dumps({"message": f"plain {n}"}) for n in range(10)]
        ready = tmp_path / "ready.jsonl"
        ready.write_text("".join(f"{line}\n" for line in lines))
        whole = yaml.safe_load(config.read_text())
        whole["sources"].append({"name": "ready", "include": [str(ready)], "format": "envelope"})
        config.write_text(yaml.safe_dump(whole))
        done = command("run", "--once", "-c", str(config))
        assert done.returncode == 0, done.stderr
        code, found = reconcile(config, "--destination", "hub")
        assert (code, found["complete"], found["unchecked_sources"]) == (1, False, {"ready": 40})
        assert (found["totals"]["arrived"], found["totals"]["missing"]) == (LINES + 10, 0)
        (where,) = [each["ranges"]["unchecked"] for each in found["streams"] if each["source"] == "ready"]
        assert [(each["first"], each["end"]) for each in where] == [(0, ready.read_bytes().index(b'{"message'))]
        told = command("reconcile", "-c", str(config), "--against", collector.url())
        assert (told.returncode, told.stdout.splitlines()[-1]) == (1, "NOT complete")
        assert "not checked: source ready: 40 events have ids of their own (format envelope)" in told.stdout
        code, found = reconcile(config, "--destination", "hub", "--source", "app")
        assert (code, found["complete"], found["unchecked_sources"]) == (0, True, {})
