"""When a rotated file is held, how, and when it is let go of; time is the test's."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
import structlog

from agent.app.keep import AFTER_SECONDS, AGAIN_SECONDS, QUIET_SECONDS, Keeper
from agent.stats import AgentStats
from tests.support.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict

ROOM = 1 << 30


class Kept:
    """A follower with a keeper; the follower's lane reads only when it is told to."""

    def __init__(self, logs: Path, *, hold_bytes: int = ROOM) -> None:
        self.follower = Follower(logs.parent / "state", logs / "*.log", hold_bytes=hold_bytes)
        self.at = 0.0
        self.replacing = False
        self._begin()

    def _begin(self) -> None:
        self.keeper = Keeper(
            lambda: [self.follower.feed],
            stats=AgentStats(agent_id="a", version="0", started_at=0.0),
            replacing=lambda: self.replacing,
            now=lambda: self.at,
        )

    def restart(self) -> None:
        self.follower.restart()
        self._begin()

    def look(self, seconds: float = 0.0) -> list[str]:
        """Let time pass, look at the files and at what has to be held; return what is held."""
        self.at += seconds
        self.follower.look()
        anyio.run(self.keeper.look, {"logs": self.follower.source})
        return self.held()

    def away(self) -> list[str]:
        """Look, and again when what was away then has been for long enough."""
        self.look()
        return self.look(AFTER_SECONDS)

    def last_look(self) -> list[str]:
        anyio.run(self.keeper.last_look, {"logs": self.follower.source})
        return self.held()

    def held(self) -> list[str]:
        folder = self.follower.state / "holds"
        return sorted(path.name.partition(".")[2] for path in folder.iterdir()) if folder.is_dir() else []

    def copy(self) -> bytes:
        """Return the bytes of the only hold."""
        (path,) = (self.follower.state / "holds").iterdir()
        return path.read_bytes()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as events:
        yield events


def events(said: list[EventDict], name: str) -> list[EventDict]:
    return [each for each in said if each["event"] == name]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_file_is_copied_from_the_cursor_on_once_it_was_away_for_a_while(logs: Path) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    assert kept.follower.poll() == ["one"]
    append(logs / "a.log", "two\n")
    assert kept.look(60) == [], "it is where it belongs"
    (logs / "a.log").rename(logs / "a.log.1")
    assert kept.look() == []
    assert kept.look(AFTER_SECONDS / 2) == []
    assert kept.look(AFTER_SECONDS / 2) == ["copy.4"]
    assert kept.copy() == b"two\n"
    assert kept.follower.poll() == ["two"]
    assert kept.look() == []


def test_a_rotation_that_is_caught_up_with_in_time_costs_nothing(logs: Path, said: list[EventDict]) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.look()
    assert kept.follower.poll() == ["one"]
    assert kept.look(AFTER_SECONDS) == []
    assert not events(said, "stream_held")


def test_a_file_that_grows_on_is_copied_further_now_and_then_and_at_once_when_it_was_removed(logs: Path) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.away()
    append(logs / "a.log.1", "two\n")
    kept.look(AGAIN_SECONDS / 2)
    assert kept.copy() == b"one\n"
    kept.look(AGAIN_SECONDS / 2)
    assert kept.copy() == b"one\ntwo\n"
    with (logs / "a.log.1").open("a") as program:
        (logs / "a.log.1").unlink()
        program.write("three\n")
        program.flush()
        kept.look()
        assert kept.copy() == b"one\ntwo\nthree\n"


def test_what_was_removed_before_it_was_copied_is_copied_through_its_descriptor(logs: Path) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.look()
    (logs / "a.log.1").unlink()
    assert kept.look(AFTER_SECONDS) == ["copy.0"]
    kept.restart()
    assert kept.follower.poll() == ["one"]


def test_the_last_look_holds_what_has_no_name_and_does_not_wait_for_what_has(logs: Path) -> None:
    kept = Kept(logs)
    for name in "ab":
        append(logs / f"{name}.log", f"{name}\n")
    assert sorted(kept.follower.poll()) == ["a", "b"]
    for name in "ab":
        append(logs / f"{name}.log", f"more of {name}\n")
    kept.follower.look()
    (logs / "a.log").unlink()
    (logs / "b.log").rename(logs / "b.log.1")
    assert kept.last_look() == ["copy.2"]
    assert kept.copy() == b"more of a\n"
    kept.restart()
    assert sorted(kept.follower.poll()) == ["more of a", "more of b"]


def test_members_that_were_read_to_their_end_are_not_held_after_a_restart_and_others_are(logs: Path) -> None:
    kept = Kept(logs)
    (logs / "a.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    os.utime(logs / "a.log.1.gz", (1e9, 1e9))
    assert kept.follower.poll() == ["one", "two"]
    kept.restart()
    (logs / "b.log.1.gz").write_bytes(gzip.compress(b"three\n"))
    os.utime(logs / "b.log.1.gz", (1e9, 1e9))
    assert kept.away() == ["link.0.gz"]
    assert kept.follower.poll() == ["three"]
    assert kept.look() == []


def test_a_member_that_was_read_in_part_is_held_and_read_on_when_it_was_removed(logs: Path) -> None:
    kept = Kept(logs)
    lines = [f"{n:07}" for n in range(400_000)]  # more than is read in one turn
    (logs / "a.log.1.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode(), compresslevel=1))
    kept.follower.look()
    first = kept.follower.read(blocks=1)
    assert 0 < len(first) < len(lines)
    kept.follower.commit()
    kept.restart()
    assert kept.away() == ["link.0.gz"]
    (logs / "a.log.1.gz").unlink()
    kept.look()
    kept.restart()
    assert kept.follower.poll() == lines[len(first) :]


def test_without_room_a_file_that_stands_waits_and_it_is_said_once(logs: Path, said: list[EventDict]) -> None:
    kept = Kept(logs, hold_bytes=6)
    append(logs / "a.log", "one\n")
    append(logs / "b.log", "two\n")
    kept.look()
    for name in "ab":
        (logs / f"{name}.log").rename(logs / f"{name}.log.1")
    assert kept.away() == ["copy.0"]
    for _ in range(3):
        assert kept.look(AGAIN_SECONDS) == ["copy.0"]
    (waits,) = events(said, "hold_waits")
    assert (waits["log_level"], waits["reason"], waits["bytes"]) == ("warning", "hold.max_bytes", 4)
    assert not events(said, "hold_released")


def test_a_removed_file_takes_the_room_of_one_that_stands_before_anything_is_lost(
    logs: Path, said: list[EventDict]
) -> None:
    kept = Kept(logs, hold_bytes=6)
    append(logs / "a.log", "one\n")
    append(logs / "b.log", "two\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.away()
    assert kept.copy() == b"one\n"
    (logs / "b.log").rename(logs / "b.log.1")
    kept.look()
    (logs / "b.log.1").unlink()
    kept.look(AFTER_SECONDS)
    assert kept.copy() == b"two\n"
    assert not events(said, "hold_released")
    assert sorted(kept.follower.poll()) == ["one", "two"]


def test_what_was_held_longest_is_lost_for_another_removed_file_and_the_range_is_said(
    logs: Path, said: list[EventDict]
) -> None:
    kept = Kept(logs, hold_bytes=6)
    for name, text in (("a", "one\n"), ("b", "two\n")):
        append(logs / f"{name}.log", text)
        kept.look()
        (logs / f"{name}.log").rename(logs / f"{name}.log.1")
        kept.look()
        (logs / f"{name}.log.1").unlink()
        kept.look(AFTER_SECONDS)
    assert kept.copy() == b"two\n"
    (released,) = events(said, "hold_released")
    assert (released["log_level"], released["first_byte"], released["end_byte"]) == ("error", 0, 4)
    assert kept.follower.later() == ["two"]
    assert kept.follower.stats.lost_bytes == 4
    (lost,) = events(said, "bytes_lost")
    assert (lost["path"], lost["first_byte"], lost["end_byte"]) == (str(logs / "a.log.1"), 0, 4)


def test_of_a_removed_file_that_is_larger_than_the_bound_the_rest_is_said_to_be_lost(
    logs: Path, said: list[EventDict]
) -> None:
    kept = Kept(logs, hold_bytes=8)
    append(logs / "a.log", "one\ntwo\nthree\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.look()
    (logs / "a.log.1").unlink()
    kept.look(AFTER_SECONDS)
    assert kept.copy() == b"one\ntwo\n"
    (failed,) = events(said, "hold_failed")
    assert (failed["log_level"], failed["end_byte"]) == ("error", 14)
    kept.restart()
    assert kept.follower.poll() == ["one", "two"]
    kept.follower.later()
    (lost,) = events(said, "bytes_lost")
    assert (lost["first_byte"], lost["end_byte"]) == (8, 14)
    assert kept.follower.stats.lost_bytes == 6


def test_a_cursor_older_than_the_hold_goes_on_where_the_hold_begins_and_says_so(
    logs: Path, said: list[EventDict]
) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.follower.poll()
    append(logs / "a.log", "two\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    kept.away()
    (logs / "a.log.1").unlink()
    kept.look()
    kept.follower.close()
    late = Follower(kept.follower.state, logs / "*.log", hold_bytes=ROOM, lane="restored")
    late.store.set_started("restored", "logs")
    assert late.poll() == ["two"]
    (lost,) = events(said, "bytes_lost")
    assert (lost["first_byte"], lost["end_byte"], late.stats.lost_bytes) == (0, 4, 4)
    late.close()


def test_while_lanes_are_being_replaced_nothing_is_let_go_of(logs: Path) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    assert kept.away() == ["copy.0"]
    assert kept.follower.poll() == ["one"]
    kept.replacing = True
    assert kept.look() == ["copy.0"]
    kept.replacing = False
    assert kept.look() == []


def test_a_removed_file_that_is_not_written_any_more_is_read_from_its_copy(logs: Path) -> None:
    kept = Kept(logs)
    append(logs / "a.log", "one\n")
    kept.look()
    (logs / "a.log").rename(logs / "a.log.1")
    long_ago = (logs / "a.log.1").stat().st_mtime - QUIET_SECONDS
    kept.look()
    os.utime(logs / "a.log.1", (long_ago, long_ago))
    (logs / "a.log.1").unlink()
    kept.look(AFTER_SECONDS)
    (stream,) = kept.follower.streams()
    assert stream.content is None, "its place on the disk would stay taken"
    assert kept.follower.poll() == ["one"]


def test_a_hold_names_how_it_holds(logs: Path, said: list[EventDict]) -> None:
    kept = Kept(logs)
    (logs / "a.log.2.gz").write_bytes(gzip.compress(b"one\n"))
    append(logs / "a.log.1", json.dumps({"n": 1}) + "\n")
    assert kept.away() == ["copy.0", "link.0.gz"]
    assert sorted((each["by"], each["log_level"]) for each in events(said, "stream_held")) == [
        ("copy", "info"),
        ("link", "info"),
    ]
    assert (logs / "a.log.1").stat().st_nlink == 1


NOBODY = 65534


def _kinds_as(user: int, logs: Path) -> list[str]:
    """Return what ``user`` holds of the files in ``logs``; the child has no right of ours."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if user != os.geteuid():
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            os.write(writing, json.dumps(Kept(logs).away()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    found: list[str] = json.loads(said)
    return found


def test_a_user_who_may_not_link_the_files_of_another_holds_members_by_a_copy() -> None:
    sysctl = Path("/proc/sys/fs/protected_hardlinks")
    may_link = not sysctl.exists() or sysctl.read_text().strip() == "0"
    root = os.geteuid() == 0  # without root's rights the test cannot be another user; its own files may be linked
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for made in ("logs", "state"):
            (folder / made).mkdir()
        (folder / "logs" / "a.log.2.gz").write_bytes(gzip.compress(b"one\n"))
        append(folder / "logs" / "a.log.1", "two\n")
        if root:
            os.chown(folder / "state", NOBODY, NOBODY)
        kinds = _kinds_as(NOBODY if root else os.geteuid(), folder / "logs")
    assert kinds == ["copy.0", "link.0.gz" if may_link or not root else "copy.0.gz"]
