"""What reaches a lane when files are written, rotated, truncated, copied, removed and compressed.

The rows of field failures these show stand in the names: ``r4`` is about copytruncate, and so on.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.support.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Follower]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, logs: Path) -> Iterator[Start]:
    running: list[Follower] = []

    def begin(*include: object, **config: object) -> Follower:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        running.append(Follower(state, *(include or (logs / "*.log",)), **config))
        return running[-1]

    yield begin
    for follower in running:
        follower.close()


def append(path: Path, *lines: object, end: str = "\n") -> None:
    with path.open("a") as file:
        file.writelines(f"{line}{end}" for line in lines)


def compress(path: Path, to: Path, *, keep: bool = False) -> None:
    """Compress as logrotate does; the result has the source's times."""
    status = path.stat()
    with path.open("rb") as source, gzip.open(to, "wb") as target:
        shutil.copyfileobj(source, target)
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))
    if not keep:
        path.unlink()


def copy_truncate(path: Path, to: Path) -> None:
    shutil.copyfile(path, to)
    os.truncate(path, 0)


# Growth


def test_lines_are_delivered_as_they_are_appended(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    assert follower.poll() == ["one", "two"]
    assert follower.poll() == []
    append(logs / "a.log", "three")
    assert follower.poll() == ["three"]


def test_a_restart_goes_on_where_the_cursor_stands(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    follower.start()
    assert follower.poll() == ["two"]


def test_pain_12_what_was_not_committed_is_sent_again_with_the_same_ids(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    follower.look()
    follower.read()
    first = list(follower.received.ids)
    follower.crash()
    follower.poll()
    assert follower.received.ids == first * 2


def test_pain_6_a_file_of_one_line_is_delivered_at_once(start: Start, logs: Path) -> None:
    append(logs / "a.log", "x")
    assert start().poll() == ["x"]


def test_pain_6_a_file_of_one_byte_is_delivered_once_it_is_final(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("x")
    follower = start()
    assert follower.poll() == []
    (logs / "a.log").rename(logs / "a.log.1")
    assert follower.poll() == []
    assert follower.later() == ["x"]
    assert follower.later() == []


def test_a_one_shot_run_takes_a_partial_last_line(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("one\ntw")
    (logs / "b.log").write_text("x")
    assert sorted(start(one_shot=True).poll()) == ["one", "tw", "x"]


def test_a_partial_last_line_waits_until_it_is_complete(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("one\ntw")
    follower = start()
    assert follower.poll() == ["one"]
    assert follower.later() == []
    append(logs / "a.log", "o")
    assert follower.poll() == ["two"]


def test_a_partial_last_line_is_delivered_when_its_file_was_rotated_and_is_quiet(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("one\ntw")
    follower = start()
    follower.poll()
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "three")
    assert follower.poll() == ["three"]
    assert follower.later() == ["tw"]
    follower.restart()
    assert follower.later() == []


def test_pain_8_a_line_split_over_reads_and_restarts_is_one_line(start: Start, logs: Path) -> None:
    follower = start()
    text = "alpha\nbeta gamma\n"
    for byte in text:
        append(logs / "a.log", byte, end="")
        follower.poll()
        follower.restart()
    assert follower.received.messages == ["alpha", "beta gamma"]


def test_pain_9_an_over_long_line_is_cut_marked_and_counted_and_the_next_is_intact(start: Start, logs: Path) -> None:
    append(logs / "a.log", "before", "y" * 3_000_000, "after")
    follower = start(max_line_bytes=100)
    follower.poll()
    before, cut, after = [event for _id, event in follower.received.events]
    assert before["message"] == "before"
    assert after["message"] == "after"
    assert (cut["raw"], cut["truncated"], cut["line_bytes"]) == ("y" * 100, True, 3_000_000)
    assert follower.stats.truncated_lines == 1


def test_carriage_returns_nul_bytes_blank_lines_and_bad_utf8(start: Start, logs: Path) -> None:
    (logs / "a.log").write_bytes(b"one\r\n\n  \ntw\0o\n\xff\xfe\nlast\n")
    assert start().poll() == ["one", "tw\0o", "\ufffd\ufffd", "last"]


def test_an_empty_file_is_followed_once_it_has_a_line(start: Start, logs: Path) -> None:
    (logs / "a.log").touch()
    follower = start()
    assert follower.poll() == []
    append(logs / "a.log", "one")
    assert follower.poll() == ["one"]


def test_a_program_that_writes_nuls_over_a_truncated_part_stops_nothing(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    with (logs / "a.log").open("r+b") as file:  # a writer without O_APPEND goes on at its old offset
        file.truncate(0)
        file.seek(100)
        file.write(b"two\n")
    assert [text.strip("\0") for text in follower.poll()] == ["two"]


# Identity


def test_pain_1_files_with_the_same_first_line_in_one_glob_are_both_delivered(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "a1")
    append(logs / "b.log", "header", "b1")
    follower = start()
    assert sorted(follower.poll()) == ["a1", "b1", "header", "header"]
    assert len(set(follower.received.ids)) == 4


def test_pain_1_files_with_the_same_first_kilobytes_in_one_glob_are_both_delivered(start: Start, logs: Path) -> None:
    shared = [f"{n:0100}" for n in range(100)]
    append(logs / "a.log", *shared, "a1")
    append(logs / "b.log", *shared, "b1")
    follower = start()
    assert len(follower.poll()) == 202
    assert len(set(follower.received.ids)) == 202


@pytest.mark.parametrize("shared", [["header"], [f"{n:0100}" for n in range(100)], ["z" * 5000]])
def test_pain_1_the_same_beginning_across_a_rotation_is_delivered_again(
    start: Start, logs: Path, shared: list[str]
) -> None:
    append(logs / "a.log", *shared, "old")
    follower = start()
    assert follower.poll() == [*shared, "old"]
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", *shared, "new")
    assert follower.poll() == [*shared, "new"]
    assert len(set(follower.received.ids)) == len(follower.received.ids)
    follower.restart()
    assert follower.later() == []


def test_pain_1_the_same_beginning_across_a_rotation_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "old")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "older")
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "header", "new")
    follower.start()
    assert sorted(follower.poll()) == ["header", "new", "older"]


def test_pain_2_a_reused_inode_is_read_from_its_first_byte(start: Start, logs: Path) -> None:
    path = logs / "a.log"
    append(path, "first generation")
    follower = start()
    follower.poll()
    for generation in range(50):
        follower.stop()
        inode = path.stat().st_ino
        path.unlink()
        append(path, f"generation {generation}, longer than the first one was")
        follower.start()
        assert follower.poll() == [f"generation {generation}, longer than the first one was"]
        if path.stat().st_ino == inode:
            return
    pytest.fail("this file system never reuses an inode")


def test_pain_2_an_inode_reused_under_another_name_is_another_file(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    follower.poll()
    follower.stop()
    (logs / "a.log").rename(logs / "b.log")
    (logs / "b.log").write_text("something else\n")
    follower.start()
    assert follower.poll() == ["something else"]


# Rename


def test_a_renamed_file_is_not_sent_again_and_its_tail_is_read(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two")
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "three")
    assert follower.poll() == ["two", "three"]
    append(logs / "a.log.1", "late")  # the program has not reopened its log yet
    assert follower.poll() == ["late"]


def test_pain_3_two_rotations_while_stopped_lose_and_repeat_nothing(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "three")
    (logs / "a.log.1").rename(logs / "a.log.2")
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "four")
    follower.start()
    assert follower.poll() == ["two", "three", "four"]


@pytest.mark.parametrize("rotations", [1, 3, 20])
def test_pain_5_many_rotations_between_two_looks_are_all_delivered_in_order(
    start: Start, logs: Path, rotations: int
) -> None:
    append(logs / "a.log", "zero")
    follower = start()
    follower.poll()
    for number in range(1, rotations + 1):
        for old in range(number - 1, 0, -1):
            (logs / f"a.log.{old}").rename(logs / f"a.log.{old + 1}")
        (logs / "a.log").rename(logs / "a.log.1")
        append(logs / "a.log", f"line {number}")
        os.utime(logs / "a.log", ns=(0, number * 10**9))
    assert follower.poll() == [f"line {number}" for number in range(1, rotations + 1)]


@pytest.mark.parametrize("name", ["a.log-20260101", "a.log.2026-01-01", "a-20260101.log", "a.log.old", "a-1.log"])
def test_every_way_of_naming_rotated_files_is_the_same_stream(start: Start, logs: Path, name: str) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    (logs / "a.log").rename(logs / name)
    append(logs / "a.log", "two")
    assert follower.poll() == ["two"]
    follower.restart()
    assert follower.poll() == []


# What was sent before a kill


def test_pain_12_lines_sent_before_a_kill_keep_their_ids_where_the_file_only_grew(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two", "three")
    follower.look()
    assert follower.read() == ["two", "three"]
    follower.crash()
    append(logs / "a.log", "four")
    assert follower.poll() == ["two", "three", "four"]
    sent = follower.received
    assert len(set(zip(sent.ids, sent.messages, strict=True))) == len(set(sent.ids)) == 4


@pytest.mark.parametrize("regrown", [("four",), ("four", "five", "a line longer than all before")])
def test_pain_12_an_id_sent_before_a_kill_never_names_a_line_of_the_file_that_was_begun_anew(
    start: Start, logs: Path, regrown: tuple[str, ...]
) -> None:
    append(logs / "a.log", "header")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two", "three")
    follower.look()
    assert follower.read() == ["two", "three"]  # sent, and never settled
    follower.crash()
    os.truncate(logs / "a.log", 0)
    append(logs / "a.log", "header", *regrown)
    assert follower.poll() == ["header", *regrown]
    assert len(set(follower.received.ids)) == len(follower.received.ids)
    follower.crash()
    append(logs / "a.log", "six")
    assert follower.poll() == ["six"]


# What is no file


def test_what_a_glob_matches_and_is_no_file_is_said_once_and_harms_no_file(start: Start, logs: Path) -> None:
    os.mkfifo(logs / "pipe.log")
    (logs / "folder.log").mkdir()
    (logs / "link.log").symlink_to(logs / "folder.log")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(logs / "socket.log"))
        append(logs / "a.log", "one")
        follower = start()
        with structlog.testing.capture_logs() as logged:
            assert follower.poll() == ["one"]
            follower.later()
    said = {line["path"].rsplit("/", 1)[-1]: line["found"] for line in logged if line["event"] == "not_a_file"}
    assert said == {
        "pipe.log": "a FIFO",
        "folder.log": "a folder",
        "link.log": "a folder",
        "socket.log": "a socket",
    }
    assert sum(line["event"] == "not_a_file" for line in logged) == len(said)


def test_folders_beside_the_files_of_a_glob_for_everything_are_not_worth_a_word(start: Start, logs: Path) -> None:
    (logs / "folder").mkdir()
    append(logs / "a.log", "one")
    follower = start(logs / "*")
    with structlog.testing.capture_logs() as logged:
        assert follower.poll() == ["one"]
    assert not [line for line in logged if line["event"] == "not_a_file"]


def test_a_member_that_is_being_compressed_into_a_known_inode_is_waited_for_without_a_warning(
    start: Start, logs: Path
) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "b.log", "two")
    follower.poll()
    packed = lzma.compress(b"new one\n")
    with structlog.testing.capture_logs() as said:
        (logs / "b.log").write_bytes(packed[:20])
        (logs / "b.log").rename(logs / "a.log.1.xz")
        assert follower.poll() == []
        (logs / "a.log.1.xz").write_bytes(packed)
        assert follower.later() == ["new one"]
    assert [entry for entry in said if entry["log_level"] == "warning"] == []


# copytruncate


def test_pain_4_a_copy_of_the_live_file_is_not_sent(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    follower.poll()
    shutil.copyfile(logs / "a.log", logs / "a.log.1")
    assert follower.poll() == []
    os.truncate(logs / "a.log", 0)
    append(logs / "a.log", "three")
    assert follower.poll() == ["three"]
    follower.restart()
    assert follower.later() == []


def test_pain_4_a_longer_file_under_a_rotated_name_is_no_copy_of_a_live_file_that_begins_alike(
    start: Start, logs: Path
) -> None:
    append(logs / "a.log", "header")
    follower = start()
    assert follower.poll() == ["header"]
    append(logs / "a.log.9", "header", "restored from a backup")
    assert follower.poll() == ["header", "restored from a backup"]


def test_pain_4_copytruncate_between_two_looks(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two")
    copy_truncate(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "three")
    assert sorted(follower.poll()) == ["three", "two"]
    assert follower.later() == []


def test_pain_4_copytruncate_and_a_compressed_rename_between_two_looks(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two")
    copy_truncate(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "three")  # the agent's descriptor shows it, and no file does once it is compressed
    (logs / "a.log.1").rename(logs / "a.log.2")
    (logs / "a.log").rename(logs / "a.log.1")
    compress(logs / "a.log.1", logs / "a.log.1.gz")
    append(logs / "a.log", "four")
    assert sorted(follower.poll()) == ["four", "three", "two"]
    assert follower.later() == []


@pytest.mark.parametrize("at", range(1, 13))
def test_pain_4_copytruncate_at_whatever_moment_of_a_look_and_a_read(start: Start, logs: Path, at: int) -> None:
    live, calls = logs / "a.log", [0]

    def visible(_path: str) -> int:
        """Asked at every look and every read: at one of them the file is copied, cut and written to."""
        calls[0] += 1
        if calls[0] == at:
            copy_truncate(live, logs / "a.log.1")
            append(live, "four", "five " + "x" * 2000)
        return 1 << 30

    append(live, "one", "two")
    follower = start(visible=visible)
    follower.poll()
    append(live, "three")
    follower.poll()
    calls[0] = max(calls[0], at)
    follower.poll()
    follower.later()
    written = [line for path in logs.iterdir() for line in path.read_text().splitlines()]
    assert sorted(follower.received.messages) == sorted(written)


def test_pain_4_copytruncate_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    copy_truncate(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "three", "a longer line than before")
    follower.start()
    assert sorted(follower.poll()) == ["a longer line than before", "three", "two"]
    follower.restart()
    assert follower.later() == []


def test_pain_4_copytruncate_leaves_an_empty_file_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    copy_truncate(logs / "a.log", logs / "a.log.1")
    follower.start()
    assert follower.poll() == ["two"]
    append(logs / "a.log", "one")
    assert follower.poll() == ["one"]


def test_pain_4_copytruncate_again_and_again(start: Start, logs: Path) -> None:
    follower = start()
    wanted = []
    for number in range(6):
        append(logs / "a.log", "header", f"line {number}")
        wanted += ["header", f"line {number}"]
        if number % 2:
            follower.poll()
        for old in range(number, 0, -1):
            (logs / f"a.log.{old}").rename(logs / f"a.log.{old + 1}")
        copy_truncate(logs / "a.log", logs / "a.log.1")
        if number % 3:
            follower.restart()
        follower.poll()
    assert sorted(follower.received.messages) == sorted(wanted)


def test_pain_4_a_file_cut_and_written_to_its_former_size_is_read_when_it_is_rung_for(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    assert follower.poll() == ["one"]
    copy_truncate(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "two")
    os.utime(logs / "a.log", ns=(0, (logs / "a.log").stat().st_mtime_ns + 10_000_000))  # clocks of files are coarse
    follower.source._apply({str(logs / "a.log")}, set())
    assert follower.read() == ["two"]


def test_pain_4_a_copy_with_the_inode_of_the_one_compressed_before_it_does_not_make_that_one_new(
    start: Start, logs: Path
) -> None:
    """In the midst of a look logrotate removes ``a.log.1``, now in ``a.log.2.gz``, and the next copy gets its inode.

    Trace: look at a.log, a.log.1 (the old copy), a.log.2.gz; a.log.1 becomes the copy of a.log; decide a.log.2.gz:
    its original is at a.log.1, which is opened, has the known inode, and holds other bytes.
    """
    steps: list[str] = []

    def looked_at(path: str) -> int:
        if path == str(logs / "a.log.1") and steps:
            (logs / "a.log.1").write_bytes((logs / steps.pop()).read_bytes())  # in place: the inode stays
        return 1 << 62

    follower = start(visible=looked_at)
    append(logs / "a.log", "one")
    follower.poll()
    copy_truncate(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "two")
    follower.poll()
    (logs / "a.log.2.gz").write_bytes(gzip.compress((logs / "a.log.1").read_bytes()))
    steps.append("a.log")
    follower.poll()
    assert not steps
    os.truncate(logs / "a.log", 0)
    append(logs / "a.log", "three")
    follower.poll()
    follower.later()
    follower.restart()
    follower.later()
    assert follower.received.messages == ["one", "two", "three"]


def test_pain_4_lines_read_between_copying_and_truncating_do_not_make_the_copy_new(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    shutil.copyfile(logs / "a.log", logs / "a.log.1")
    append(logs / "a.log", "two")
    follower.poll()
    os.truncate(logs / "a.log", 0)
    append(logs / "a.log", "three")
    follower.poll()
    follower.restart()
    (logs / "a.log.1").rename(logs / "a.log.2")
    follower.poll()
    follower.restart()
    compress(logs / "a.log.2", logs / "a.log.3.gz")
    follower.poll()
    (logs / "a.log.3.gz").rename(logs / "a.log.4.gz")
    follower.later()
    follower.restart()
    follower.later()
    assert follower.received.messages == ["one", "two", "three"]


def test_pain_4_a_file_truncated_and_regrown_past_the_old_offset_is_read_from_its_start(
    start: Start, logs: Path
) -> None:
    append(logs / "a.log", "header", "old")
    follower = start()
    follower.poll()
    (logs / "a.log").write_text("header\nnew one\nnew two\n")
    assert follower.poll() == ["header", "new one", "new two"]
    assert len(set(follower.received.ids)) == 5


def test_pain_4_the_same_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "old")
    follower = start()
    follower.poll()
    follower.stop()
    (logs / "a.log").write_text("header\nnew one\nnew two\n")
    follower.start()
    assert follower.poll() == ["header", "new one", "new two"]


def test_pain_4_a_regrown_file_is_noticed_although_only_its_growth_was_looked_at(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "old")
    follower = start()
    follower.poll()
    (logs / "a.log").write_text("header\nnew one\nnew two\n")
    follower.source._apply({str(logs / "a.log")}, set())
    follower.read()
    follower.commit()
    assert follower.received.messages == ["header", "old"]
    assert follower.poll() == ["header", "new one", "new two"]


def test_pain_4_a_file_replaced_before_its_first_read_is_sent_once(start: Start, logs: Path) -> None:
    append(logs / "a.log", "old")
    follower = start()
    follower.look()
    (logs / "a.log").write_text("new one\nnew two\n")
    follower.read()
    follower.commit()
    follower.poll()
    follower.poll()
    assert follower.received.messages == ["new one", "new two"]


# Deletion, loss


def test_pain_10_a_file_deleted_while_open_is_read_to_its_end(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two")
    (logs / "a.log").unlink()
    assert follower.poll() == ["two"]
    follower.later()
    follower.later()
    assert follower.stats.lost_bytes == 0
    assert follower.stats.open_files == 0


def test_pain_10_a_program_that_writes_on_to_a_deleted_file_is_followed(start: Start, logs: Path) -> None:
    with (logs / "a.log").open("w") as file:
        print("one", file=file, flush=True)
        follower = start()
        follower.poll()
        (logs / "a.log").unlink()
        append(logs / "a.log", "of another")
        follower.poll()
        for text in ("two", "three"):
            print(text, file=file, flush=True)
            assert follower.later(20) == [text]
    follower.later(100)
    follower.poll()
    assert len(follower.source.catalog.handles) == 1


def test_pain_10_rotated_then_deleted_while_the_lane_stood_still(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two")
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "three")
    follower.look()
    (logs / "a.log.1").unlink()
    follower.look()
    assert follower.poll() == ["two", "three"]


def test_bytes_that_were_truncated_away_unread_are_reported_with_their_range(
    start: Start, logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    append(logs / "a.log", "two", "three")
    follower.look()
    os.truncate(logs / "a.log", 0)
    append(logs / "a.log", "new")
    assert follower.poll() == ["new"]
    assert follower.stats.lost_bytes == 0  # a copy may still turn up
    follower.later()
    follower.later()
    assert follower.stats.lost_bytes == len("two\nthree\n")
    follower.restart()
    follower.later()
    follower.later()
    assert follower.stats.lost_bytes == len("two\nthree\n")


def test_bytes_that_were_given_up_are_read_when_their_file_system_comes_back(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.look()
    logs.rename(logs.with_name("away"))
    assert follower.poll() == []
    assert follower.later() == []
    assert follower.stats.lost_bytes == len("one\n")
    follower.poll()
    follower.restart()
    assert follower.later() == []
    assert follower.stats.lost_bytes == len("one\n")
    logs.with_name("away").rename(logs)
    assert follower.poll() == ["one"]


def test_pain_2_after_a_loss_a_file_that_begins_alike_is_read_from_its_start(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "lost")
    follower = start()
    follower.look()
    os.truncate(logs / "a.log", 0)
    follower.poll()
    follower.later()
    append(logs / "a.log", "header", "longer than before")
    assert follower.poll() == ["header", "longer than before"]


# Compressed members


def test_pain_7_a_log_that_is_rotated_then_compressed_is_sent_once(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    follower.poll()
    (logs / "a.log").rename(logs / "a.log.1")
    append(logs / "a.log", "three")
    follower.poll()
    compress(logs / "a.log.1", logs / "a.log.2.gz", keep=True)
    assert follower.poll() == []
    (logs / "a.log.1").unlink()
    follower.poll()
    follower.later()
    follower.restart()
    follower.later()
    assert follower.received.messages == ["one", "two", "three"]


def test_pain_7_rotated_and_compressed_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    (logs / "a.log").rename(logs / "a.log.1")
    compress(logs / "a.log.1", logs / "a.log.2.gz")
    append(logs / "a.log", "three")
    follower.start()
    assert follower.poll() == ["two", "three"]
    follower.restart()
    assert follower.later() == []


def test_pain_7_killed_in_the_middle_of_a_gz_it_goes_on_at_the_right_line(start: Start, logs: Path) -> None:
    lines = [f"{n:07} {'x' * 90}" for n in range(40_000)]
    append(logs / "a.log", *lines)
    compress(logs / "a.log", logs / "a.log.1.gz")
    follower = start()
    follower.look()
    first = follower.read(2)
    follower.commit()
    assert 0 < len(first) < len(lines)
    follower.read(1)
    uncommitted = len(follower.received.events)
    follower.crash()
    follower.poll()
    again = follower.received.ids[uncommitted:]
    assert follower.received.messages[: len(first)] + follower.received.messages[uncommitted:] == lines
    assert again[: uncommitted - len(first)] == follower.received.ids[len(first) : uncommitted]


def test_a_gz_that_is_still_being_written_waits_until_it_is_whole(start: Start, logs: Path) -> None:
    append(logs / "b.log", *range(10_000))
    compress(logs / "b.log", logs / "whole")
    data = (logs / "whole").read_bytes()
    (logs / "a.log.1.gz").write_bytes(data[:5000])
    follower = start()
    assert follower.poll() == []
    with (logs / "a.log.1.gz").open("ab") as file:
        file.write(data[5000:])
    assert len(follower.poll()) == 10_000


def test_a_damaged_gz_delivers_what_can_be_read_and_is_reported(start: Start, logs: Path) -> None:
    append(logs / "b.log", *range(500_000))
    compress(logs / "b.log", logs / "whole")
    data = (logs / "whole").read_bytes()
    (logs / "a.log.1.gz").write_bytes(data[: len(data) * 3 // 4])
    follower = start()
    texts = follower.later()
    assert texts == [str(n) for n in range(len(texts))]
    assert len(texts) > 100_000
    assert follower.later() == []
    assert follower.stats.last_error is not None
    assert "a.log.1.gz" in follower.stats.last_error


# Where to start, what belongs


def test_start_at_end_skips_only_what_exists_at_the_very_first_start(start: Start, logs: Path) -> None:
    (logs / "a.log").write_text("old one\nold two\nhal")
    append(logs / "a.log.1", "older")
    follower = start(start_at="end")
    assert follower.poll() == []
    append(logs / "a.log", "f")
    append(logs / "b.log", "new file")
    assert sorted(follower.poll()) == ["half", "new file"]
    follower.stop()
    append(logs / "c.log", "made while stopped")
    append(logs / "a.log", "more")
    follower.start()
    assert sorted(follower.poll()) == ["made while stopped", "more"]


def test_start_at_end_notices_that_the_file_was_replaced_while_stopped(start: Start, logs: Path) -> None:
    append(logs / "a.log", "header", "old")
    follower = start(start_at="end")
    follower.poll()
    follower.stop()
    (logs / "a.log").write_text("header\nnew one\nnew two\n")
    follower.start()
    assert follower.poll() == ["header", "new one", "new two"]


def test_a_new_folder_under_two_stars_is_read(start: Start, logs: Path) -> None:
    follower = start(logs / "**" / "*.log")
    assert follower.poll() == []
    (logs / "x" / "y").mkdir(parents=True)
    append(logs / "x" / "y" / "a.log", "one")
    assert follower.poll() == ["one"]


def test_an_excluded_file_and_its_rotated_members_are_left_alone(start: Start, logs: Path) -> None:
    for name in ("a.log", "b.log", "b.log.1"):
        append(logs / name, name)
    assert start(exclude=["b.log"]).poll() == ["a.log"]


def test_an_unreadable_file_is_reported_and_read_once_that_is_mended(start: Start, logs: Path) -> None:
    (logs / "a.log").symlink_to("/proc/self/mem")  # every user may open it, nobody may read its first byte
    append(logs / "b.log", "b")
    follower = start()
    assert follower.poll() == ["b"]
    assert follower.stats.last_error == f"{logs / 'a.log'}: Input/output error"
    (logs / "a.log").unlink()
    append(logs / "a.log", "one")
    assert follower.poll() == ["one"]
    follower.look()
    assert follower.stats.last_error is None


def test_links_in_a_circle_and_named_pipes_hide_nothing(start: Start, logs: Path) -> None:
    (logs / "a.log").symlink_to(logs / "a.log")
    os.mkfifo(logs / "b.log")
    (logs / "c.log").mkdir()
    append(logs / "d.log", "one")
    follower = start()
    assert follower.poll() == ["one"]
    assert "a.log" in (follower.stats.last_error or "")


def test_a_link_to_a_file_in_the_glob_is_read_once(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    (logs / "z.log").symlink_to(logs / "a.log")
    os.link(logs / "a.log", logs / "y.log")
    follower = start()
    assert follower.poll() == ["one"]
    append(logs / "a.log", "two")
    assert follower.poll() == ["two"]
    follower.restart()
    assert follower.poll() == []


def test_a_link_to_a_file_elsewhere_is_followed(start: Start, logs: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    append(tmp_path / "elsewhere" / "one", "one")
    append(tmp_path / "elsewhere" / "two", "two")
    (logs / "current.log").symlink_to(tmp_path / "elsewhere" / "one")
    follower = start()
    assert follower.poll() == ["one"]
    (logs / "current.log").unlink()
    (logs / "current.log").symlink_to(tmp_path / "elsewhere" / "two")
    assert follower.poll() == ["two"]
    (logs / "broken.log").symlink_to(tmp_path / "nowhere")
    assert follower.poll() == []


def test_names_that_are_not_text_are_read_and_remembered(start: Start, logs: Path) -> None:
    (logs / os.fsdecode(b"\xff\n'.log")).write_bytes(b"one\n")
    follower = start()
    assert follower.poll() == ["one"]
    follower.restart()
    assert follower.poll() == []


def test_pain_17_a_changed_configuration_leaves_other_state_alone(start: Start, logs: Path) -> None:
    append(logs / "a.log", "a1")
    append(logs / "b.log", "b1")
    both = start()
    both.poll()
    both.stop()
    only_b = start(logs / "b.log")
    append(logs / "a.log", "a2")
    append(logs / "b.log", "b2")
    assert only_b.poll() == ["b2"]
    only_b.stop()
    another = start(logs / "a.log", name="another")
    assert another.poll() == ["a1", "a2"]
    another.stop()
    both.start()
    assert both.poll() == ["a2"]


def test_what_a_first_start_saw_that_was_killed_is_shipped_when_it_comes_back_after_the_second(
    start: Start, logs: Path
) -> None:
    append(logs / "a.log", "one", "two")
    follower = start()
    follower._begun = True  # looked, and killed before a lane could begin
    follower.look()
    follower.close()
    away = (logs / "a.log").rename(logs.parent / "away")
    follower.start()
    assert follower.poll() == []
    away.rename(logs / "a.log.1")
    assert follower.poll() == ["one", "two"]


def test_a_lane_added_later_reads_everything_from_the_beginning(start: Start, logs: Path) -> None:
    append(logs / "a.log", "one")
    follower = start()
    follower.poll()
    follower.stop()
    append(logs / "a.log", "two")
    other = start(lane="other")
    assert other.poll() == ["one", "two"]
    assert other.received.ids[0] == follower.received.ids[0]
