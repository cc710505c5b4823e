"""Rejects are found by what is asked for, taken out and replaced exactly, and bounded."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.destinations.base import Refusal
from agent.lane.rejects import Reject, Rejects, folders
from agent.lane.rejects.reader import Found, Selection, read_all
from agent.lane.rejects.record import encode, timestamp
from agent.lane.rejects.rewrite import rewrite
from tests.support.transactions import transaction

pytestmark = pytest.mark.anyio

DROP_ONE_BY_ONE = """
import pathlib, sys
from agent.lane.rejects.reader import read_all
from agent.lane.rejects.rewrite import rewrite
for each in list(read_all(pathlib.Path(sys.argv[1]))):
    rewrite({each.key: None})
    print(each.reject.unique_id, flush=True)
"""
INVALID = Refusal(counter="drop_invalid_format", reason="no such field", status=400)


def reject(**members: Any) -> Reject:
    given = {
        "time": "2026-05-04T12:00:00.000000Z",
        "destination": "hook",
        "counter": "drop_invalid_format",
        "reason": "no such Field",
        "status": 400,
        "event": msgspec.Raw(transaction(1).bodies[0]),
    }
    return Reject(**(given | members))


def at(hour: int) -> datetime:
    return datetime(2026, 5, 4, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("conditions", "meant"),
    [
        ({}, True),
        ({"destination": "hook"}, True),
        ({"destination": "hoo"}, False),
        ({"reason": "such field"}, True),
        ({"reason": "INVALID"}, True),
        ({"reason": "400"}, True),
        ({"reason": "40"}, False),
        ({"since": at(12)}, True),
        ({"until": at(12)}, False),
        ({"since": at(11), "until": at(13)}, True),
        ({"since": at(13)}, False),
        ({"unique_id": "s.0"}, True),
        ({"unique_id": "s.1"}, False),
        ({"destination": "hook", "reason": "other"}, False),
    ],
)
def test_a_reject_is_meant_when_it_meets_every_condition(conditions: dict[str, Any], meant: bool) -> None:
    assert Selection(**conditions).matches(reject()) is meant


def test_an_event_without_an_id_is_found_by_everything_else() -> None:
    nameless = reject(event=msgspec.Raw(b"[1]"))
    assert Selection(reason="field").matches(nameless)
    assert not Selection(unique_id="s.0").matches(nameless)


def fill(state: Path, count: int, *, file_bytes: int = 1500) -> list[Found]:
    """Write ``count`` rejects of two destinations in files of a few lines each, and return what is found."""
    for n in range(count):
        writer = Rejects(state, "hook" if n % 3 else "other", file_bytes=file_bytes)
        put(writer, n)
    return list(read_all(state))


def put(writer: Rejects, number: int, refusal: Refusal = INVALID) -> None:
    body = transaction(1, first=number).bodies[0]
    writer._append(encode(body, refusal, destination=writer.folder.name, time=timestamp()) + b"\n")


def lines(state: Path) -> list[Reject | None]:
    return [each.reject for each in read_all(state)]


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 25))
def test_any_subset_that_is_dropped_leaves_exactly_the_rest(data: st.DataObject, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = fill(Path(folder), count)
        gone = data.draw(st.sets(st.integers(0, count - 1)))
        assert rewrite({found[i].key: None for i in gone}) == len(gone)
        assert lines(Path(folder)) == [each.reject for i, each in enumerate(found) if i not in gone]
        assert not list(Path(folder).rglob("*.new"))


def test_a_replaced_line_keeps_its_place_and_the_others_stay_byte_for_byte(tmp_path: Path) -> None:
    found = fill(tmp_path, 9)
    new = msgspec.json.encode(reject(reason="newest"))
    assert rewrite({found[4].key: new}) == 1
    assert lines(tmp_path) == [*(f.reject for f in found[:4]), reject(reason="newest"), *(f.reject for f in found[5:])]
    assert rewrite({found[4].key: None}) == 0  # no longer there: nothing else is taken for it


def test_pain_29_what_is_appended_while_others_are_taken_out_is_all_kept(tmp_path: Path) -> None:
    # A writer that holds on to the file that a rename replaces would write into nothing.
    found = fill(tmp_path, 30, file_bytes=1 << 20)
    writer = Rejects(tmp_path, "hook")
    appending = threading.Thread(target=lambda: [put(writer, n) for n in range(100, 300)])
    appending.start()
    for each in found:
        assert rewrite({each.key: None}) == 1
    appending.join(60)
    assert [each.unique_id for each in lines(tmp_path) if each] == [f"s.{n:x}" for n in range(100, 300)]


def test_damaged_and_torn_lines_are_no_reason_to_lose_the_others(tmp_path: Path) -> None:
    found = fill(tmp_path, 3, file_bytes=1 << 20)
    path = found[-1].key.path
    with path.open("ab") as file:
        file.write(b'{"damaged\xff\n{"torn')
    assert [each.reject is None for each in read_all(tmp_path)].count(True) == 1
    rewrite({found[-1].key: None})
    assert b'{"damaged\xff\n' in path.read_bytes()
    assert b"torn" not in path.read_bytes()


def test_a_successor_that_a_crash_left_half_written_counts_for_nothing(tmp_path: Path) -> None:
    found = fill(tmp_path, 4, file_bytes=1 << 20)
    folders.half_written(found[0].key.path).write_bytes(b"half")
    assert lines(tmp_path) == [each.reject for each in found]
    assert rewrite({found[0].key: None}) == 1
    assert len(lines(tmp_path)) == 3
    assert not list(tmp_path.rglob("*.new"))


def test_pain_29_a_kill_while_rejects_are_taken_out_loses_none_of_the_others(tmp_path: Path) -> None:
    found = fill(tmp_path, 300, file_bytes=1 << 20)
    for gone in (1, 5, 20):
        before = lines(tmp_path)
        with subprocess.Popen([sys.executable, "-c", DROP_ONE_BY_ONE, str(tmp_path)], stdout=subprocess.PIPE) as killed:
            assert killed.stdout
            said = sum(bool(killed.stdout.readline()) for _ in range(gone))
            killed.kill()
            said += len(killed.stdout.read().splitlines())
        taken = len(before) - len(lines(tmp_path))
        assert taken in (said, said + 1)  # durable once said
        assert lines(tmp_path) == before[taken:]
    assert len(lines(tmp_path)) < len(found)


def test_pain_15_a_disk_that_is_full_while_rejects_are_taken_out_costs_none_of_them(tmp_path: Path) -> None:
    found = fill(tmp_path, 6, file_bytes=1 << 20)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            rewrite({found[0].key: None})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert lines(tmp_path) == [each.reject for each in found]
    assert not list(tmp_path.rglob("*.new"))


def test_what_is_rewritten_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    found = fill(tmp_path, 4, file_bytes=1 << 20)
    path = found[1].key.path
    if os.geteuid() == 0:
        os.chown(path.parent, 12345, 12345)
    rewrite({found[1].key: None})
    assert (path.stat().st_uid, path.stat().st_gid) == (path.parent.stat().st_uid, path.parent.stat().st_gid)
    assert path.stat().st_mode & 0o777 == 0o600


@settings(max_examples=20)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=40))
def test_pain_29_at_the_bound_the_oldest_go_and_every_one_is_counted(sizes: list[int]) -> None:
    bound, lost = 8000, 0

    def dropped(_destination: str, events: int) -> None:
        nonlocal lost
        lost += events

    with tempfile.TemporaryDirectory() as folder, capture_logs() as logged:
        state = Path(folder)
        for n, size in enumerate(sizes):
            writer = Rejects(state, f"d{n % 2}", max_bytes=lambda: bound, dropped=dropped)
            put(writer, n, Refusal(counter="drop_rejected", reason="x" * size))
            assert sum(path.stat().st_size for path in state.rglob("*.jsonl")) <= bound
        kept = {each.unique_id for each in lines(state) if each}
        assert len(kept) + lost == len(sizes)
        assert f"s.{len(sizes) - 1:x}" in kept
        assert sum(each["events"] for each in logged) == lost
        assert all(each["event"] == "rejects_dropped" and each["first"] <= each["last"] for each in logged)
        assert all(not Path(each["file"]).exists() for each in logged)


async def test_a_refusal_larger_than_the_bound_is_kept_all_the_same(tmp_path: Path) -> None:
    writer = Rejects(tmp_path, "hook", max_bytes=lambda: 100)
    await writer.put(transaction(3), {0: INVALID, 1: INVALID})
    await writer.put(transaction(3), {2: INVALID})
    assert [each.unique_id for each in writer] == ["s.2"]
