"""``backfill``: rotated and compressed files, the daemon's ids, windows of time, resuming."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.processes import command, write_config
from tests.support.receiver import Receiver, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.receiver import Request


def lines(first: int, count: int) -> bytes:
    records = ({"n": n, "time": f"2026-05-{1 + n // 100:02d}T00:00:00Z"} for n in range(first, first + count))
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    """Three members of one log, oldest compressed: 1,000 lines over ten days."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app.log.2.gz").write_bytes(gzip.compress(lines(0, 400)))
    (logs / "app.log.1").write_bytes(lines(400, 300))
    (logs / "app.log").write_bytes(lines(700, 300))
    return write_config(
        tmp_path / "config.yaml",
        agent={"id": "a-1", "state_dir": str(tmp_path / "state")},
        sources=[{"name": "app", "include": [f"{logs}/*.log"], "start_at": "end"}],
        destinations=[
            {
                "name": "sink",
                "destination_type": "webhook",
                "location": receiver.url,
                "max_events_per_transaction": 100,
                "delivery": {"retry": {"base": "50ms", "cap": "200ms"}},
            }
        ],
    )


def numbers(receiver: Receiver) -> list[int]:
    return [event["event"]["n"] for event in receiver.events()]


def test_everything_that_exists_is_shipped_once_in_order(config: Path, receiver: Receiver) -> None:
    done = command("backfill", "-c", str(config))
    assert done.returncode == 0, done.stderr
    assert numbers(receiver) == list(range(1000))
    assert "1000 events accepted" in done.stderr


def test_a_dry_run_counts_and_touches_nothing(config: Path, receiver: Receiver, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = command("backfill", "--dry-run", "-c", str(config))
    assert done.returncode == 0, done.stderr
    assert "1000 events would send" in done.stderr
    assert receiver.requests == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_window_of_time_is_kept_to(config: Path, receiver: Receiver) -> None:
    done = command("backfill", "-c", str(config), "--since", "2026-05-03", "--until", "2026-05-06T00:00:00Z")
    assert done.returncode == 0, done.stderr
    assert numbers(receiver) == list(range(200, 500))


def test_single_files_may_be_named(config: Path, receiver: Receiver, tmp_path: Path) -> None:
    done = command("backfill", "-c", str(config), str(tmp_path / "logs/app.log.2.gz"))
    assert done.returncode == 0, done.stderr
    assert numbers(receiver) == list(range(400))


def test_ids_are_those_of_the_live_agent(config: Path, receiver: Receiver) -> None:
    text = config.read_text()
    config.write_text(text.replace("start_at: end", "start_at: beginning"))
    assert command("run", "--once", "-c", str(config)).returncode == 0
    live = {event["unique_id"]: event["event"]["n"] for event in receiver.events()}
    receiver.requests.clear()
    assert command("backfill", "-c", str(config)).returncode == 0
    assert {event["unique_id"]: event["event"]["n"] for event in receiver.events()} == live


def test_a_stopped_backfill_goes_on_where_it_was_and_a_finished_one_starts_anew(
    config: Path, receiver: Receiver
) -> None:
    def first_three(request: Any) -> Reply:
        return Reply() if request.events()[0]["event"]["n"] < accepted else Reply(503)

    accepted = 300
    receiver.answer = first_three
    stopped = command("backfill", "--patience", "1s", "-c", str(config))
    assert stopped.returncode == 1
    assert "undelivered" in stopped.stderr
    receiver.requests.clear()
    receiver.answer = lambda _request: Reply()
    assert command("backfill", "-c", str(config)).returncode == 0
    assert numbers(receiver) == list(range(accepted, 1000))
    receiver.requests.clear()
    assert command("backfill", "-c", str(config)).returncode == 0
    assert numbers(receiver) == list(range(1000))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--destination", "nobody"], "--destination: found 'nobody'; allowed: sink"),
        (["--source", "nothing"], "--source: found 'nothing'; allowed: app"),
        (["/nonexistent.log"], "/nonexistent.log: no such file"),
        (["--since", "yesterdayish"], "'yesterdayish' is no time"),
    ],
)
def test_wrong_usage_is_named_and_exits_2(config: Path, arguments: list[str], said: str) -> None:
    done = command("backfill", "-c", str(config), *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_receiver_that_wants_one_event_again_for_ever_is_given_up(config: Path, receiver: Receiver) -> None:
    taken: set[int] = set()

    def answer(request: Request) -> Reply:
        events = json.loads(request.body)["events"]
        again = [each["unique_id"] for each in events if each["event"]["n"] == 3]
        taken.update(each["event"]["n"] for each in events if each["unique_id"] not in again)
        wanted = [{"unique_id": name, "status": "unprocessed"} for name in again]
        return Reply(
            201, body=json.dumps({"success_events": [], "discard_events": [], "retry_events": wanted}).encode()
        )

    receiver.answer = answer
    given_up = command("backfill", "--patience", "1s", "-c", str(config))
    assert given_up.returncode == 1
    assert "gave_up" in given_up.stderr
    assert taken == set(range(1000)) - {3}
    receiver.answer = lambda _: Reply()
    assert command("backfill", "-c", str(config)).returncode == 0
    assert {event["event"]["n"] for event in receiver.events()} == set(range(1000))
