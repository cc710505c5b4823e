"""``audit-agent reconcile`` as a process: what arrived, what is missing and where, beside a running agent, too."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.support.logwriter import LogWriter
from tests.support.processes import AgentProcess, command, wait_until, write_config

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

LINES = 1000


def setup(
    tmp_path: Path,
    *,
    source: dict[str, Any] | None = None,
    destination: dict[str, Any] | None = None,
    backups: int = 100,
) -> Path:
    """Write 1,000 lines into three members, the oldest compressed; return the configuration that ships them."""
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = LogWriter(logs / "app.log")
    for _ in range(2):
        writer.write_at_once(300)
        writer.rotate()
    writer.write_at_once(LINES - 600)
    writer.close()
    oldest = logs / "app.log.2"
    (logs / "app.log.2.gz").write_bytes(gzip.compress(oldest.read_bytes()))
    oldest.unlink()
    return write_config(
        tmp_path / "config.yaml",
        agent={"state_dir": str(tmp_path / "state")},
        sources=[{"name": "app", "include": [f"{logs}/*.log"], **(source or {})}],
        destinations=[
            {
                "name": "archive",
                "destination_type": "file",
                "location": f"file://{tmp_path}/out/audits.log?max_size=50kb&max_backups={backups}",
                **(destination or {}),
            }
        ],
    )


def ship(config: Path) -> None:
    done = command("run", "--once", "-c", str(config))
    assert done.returncode == 0, done.stderr


def reconcile(config: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = command("reconcile", "-c", str(config), "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def against(tmp_path: Path) -> tuple[str, str]:
    return "--against", str(tmp_path / "out" / "audits.log")


def without_lines(tmp_path: Path, numbers: range) -> None:
    """Take the events of these numbers out of the archive."""
    for member in (tmp_path / "out").iterdir():
        kept = [
            line
            for line in member.read_bytes().splitlines(keepends=True)
            if json.loads(line)["event"]["n"] not in numbers
        ]
        member.write_bytes(b"".join(kept))


def test_everything_that_was_shipped_is_proved_to_have_arrived(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    assert len(list((tmp_path / "out").iterdir())) > 1  # rotated
    code, found = reconcile(config, *against(tmp_path))
    assert code == 0
    assert found["complete"]
    assert found["destination"] == "archive"
    totals = {kind: count for kind, count in found["totals"].items() if count}
    assert totals == {"events": LINES, "arrived": LINES}


def test_lines_that_did_not_arrive_are_named_with_their_bytes(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    without_lines(tmp_path, range(290, 305))
    code, found = reconcile(config, *against(tmp_path))
    assert code == 1
    assert not found["complete"]
    assert found["totals"]["missing"] == 15
    missing = {
        each["path"].rpartition("/")[2]: each["ranges"]["missing"] for each in found["streams"] if each["ranges"]
    }
    assert missing.keys() == {"app.log.2.gz", "app.log.1"}
    (compressed,), (plain,) = missing["app.log.2.gz"], missing["app.log.1"]
    lines = gzip.decompress((tmp_path / "logs" / "app.log.2.gz").read_bytes())[compressed["first"] : compressed["end"]]
    assert [json.loads(line)["n"] for line in lines.splitlines()] == list(range(290, 300))
    lines = (tmp_path / "logs" / "app.log.1").read_bytes()[plain["first"] : plain["end"]]
    assert [json.loads(line)["n"] for line in lines.splitlines()] == list(range(300, 305))


def test_duplicate_and_foreign_events_are_told_and_do_no_harm(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    live = tmp_path / "out" / "audits.log"
    last = live.read_bytes().splitlines(keepends=True)[-1]
    stranger = b'{"unique_id":"%s.0","create_time":"2026-05-04T12:00:00Z","event":{"source_id":"other"}}\n' % (
        b"f" * 32
    )
    live.write_bytes(live.read_bytes() + last + last + stranger + b"no event\n")
    code, found = reconcile(config, *against(tmp_path))
    assert code == 0
    assert (found["totals"]["duplicate"], found["totals"]["foreign"], found["damaged_lines"]) == (2, 1, 1)


def test_a_line_that_is_not_sent_yet_is_missing_only_when_asked_strictly(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    with (tmp_path / "logs" / "app.log").open("ab") as log:
        log.write(b'{"n": 1000}\n{"n": 10')
    code, found = reconcile(config, *against(tmp_path))
    assert (code, found["totals"]["not_sent"], found["totals"]["missing"]) == (0, 2, 0)
    assert reconcile(config, *against(tmp_path), "--strict")[0] == 1


def test_filtered_events_are_not_missing(tmp_path: Path) -> None:
    config = setup(tmp_path, destination={"filters": [{"filter_type": "subsystem", "value": "access"}]})
    ship(config)
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "audits.log").touch()
    code, found = reconcile(config, "--destination", "archive")
    assert (code, found["totals"]["filtered"]) == (0, LINES)


def test_what_start_at_end_left_out_is_told_apart(tmp_path: Path) -> None:
    config = setup(tmp_path, source={"start_at": "end"})
    with AgentProcess(config) as agent:
        agent.wait_for_output("agent_started")
        with (tmp_path / "logs" / "app.log").open("ab") as log:
            log.write(b'{"n": 1000, "w": "w"}\n' * 5)
        wait_until((tmp_path / "out" / "audits.log").exists)
        assert agent.stop() == 0
    code, found = reconcile(config, *against(tmp_path))
    assert (code, found["totals"]["skipped"], found["totals"]["arrived"]) == (0, LINES, 5)
    assert reconcile(config, *against(tmp_path), "--strict")[0] == 1


def test_events_with_ids_of_their_own_are_found_by_them(tmp_path: Path) -> None:
    config = setup(tmp_path, source={"format": "envelope"})
    own = [
        {"unique_id": f"own-{n}", "create_time": "2026-05-04T12:00:00Z", "event": {"n": LINES + n}} for n in range(50)
    ]
    with (tmp_path / "logs" / "app.log").open("ab") as log:
        log.writelines(json.dumps(event).encode() + b"\n" for event in own)
    ship(config)
    assert reconcile(config, *against(tmp_path))[1]["totals"]["arrived"] == LINES + 50
    without_lines(tmp_path, range(LINES + 10, LINES + 20))
    code, found = reconcile(config, *against(tmp_path))
    assert (code, found["totals"]["missing"]) == (1, 10)


def test_a_file_that_was_deleted_after_it_arrived_is_no_complaint(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    (tmp_path / "logs" / "app.log.1").unlink()
    code, found = reconcile(config, *against(tmp_path))
    assert (code, found["totals"]["arrived"], found["elsewhere"]) == (0, LINES - 300, 300)


def test_beside_a_running_agent_under_rotation_nothing_is_missing_foreign_or_changed(tmp_path: Path) -> None:
    config = setup(tmp_path)
    writer = LogWriter(tmp_path / "logs" / "app.log")
    writer.written = LINES
    with AgentProcess(config) as agent:
        agent.wait_for_output("agent_started")
        for _ in range(4):
            writer.write(300)
            writer.rotate()
            code, found = reconcile(config, "--destination", "archive")
            assert (found["totals"]["missing"], found["totals"]["foreign"]) == (0, 0)
        writer.close()
        wait_until(lambda: reconcile(config, *against(tmp_path), "--strict")[0] == 0)
        assert agent.stop() == 0
    code, found = reconcile(config, *against(tmp_path), "--strict")
    assert (code, found["totals"]["arrived"], found["elsewhere"]) == (0, LINES + 1200, 0)


def test_what_the_destination_itself_deleted_is_missing_with_the_likely_reason(tmp_path: Path) -> None:
    config = setup(tmp_path, backups=2)
    ship(config)
    code, found = reconcile(config, "--destination", "archive")
    assert code == 1
    assert found["totals"]["missing"] > 0
    assert "max_backups" in "".join(found["notes"])


def test_the_text_says_what_is_missing_and_where(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    without_lines(tmp_path, range(990, 1000))
    done = command("reconcile", "-c", str(config), "--destination", "archive")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("missing:")]
    assert "app.log bytes" in line
    assert ": 10 (stream " in line
    assert done.stdout.splitlines()[-1] == "NOT complete"


def refusal(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command("reconcile", "-c", str(config), *arguments)


def test_what_cannot_be_done_is_said_with_what_is_allowed(tmp_path: Path) -> None:
    config = setup(tmp_path)
    none = refusal(config, "--destination", "archive")
    assert (none.returncode, "state.db: no such file" in none.stderr) == (1, True)
    ship(config)
    assert "allowed: archive" in refusal(config, "--destination", "nobody").stderr
    assert "allowed: app" in refusal(config, "--destination", "archive", "--source", "nobody").stderr
    assert "--against" in refusal(config).stderr
    assert refusal(config).returncode == 2
    absent = refusal(config, "--against", str(tmp_path / "absent.log"))
    assert (absent.returncode, "absent.log: no such file" in absent.stderr) == (1, True)


def test_a_file_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    config = setup(tmp_path)
    ship(config)
    member = tmp_path / "logs" / "app.log.2.gz"
    member.write_bytes(member.read_bytes()[:-200])
    code, found = reconcile(config, *against(tmp_path))
    assert code == 1
    assert "app.log.2.gz" in "".join(found["problems"])
