"""The file destination on real files: durable lines, rotation, and what a full disk or a crash leaves (WIRE 5.1)."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import stat
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agent.config.model import DestinationConfig
from agent.destinations import rotation
from agent.destinations.base import ACCEPTED, Kind
from agent.destinations.file import File, problems
from agent.events import Slice, Transaction
from tests.support.transactions import body, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.destinations.base import Answer

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 4, 12, 0, 1, 250_000, tzinfo=UTC)


def config(path: Path | str, query: str = "") -> DestinationConfig:
    return DestinationConfig(name="archive", destination_type="file", location=f"{path}{query}")


async def write(path: Path, *sent: Transaction, query: str = "", now: datetime = NOW) -> list[Answer]:
    file = File(config(path, query), now=lambda: now)
    try:
        return [await file.attempt(t) for t in sent]
    finally:
        await file.aclose()


def ids(path: Path) -> list[str]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line)["unique_id"] for line in data.splitlines()]


def children(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Let no file grow beyond ``limit`` bytes: the write that crosses it is cut short, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_each_event_is_a_line(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    first, second = transaction(2), transaction(2, first=2)
    assert await write(live, first, second) == [ACCEPTED, ACCEPTED]
    assert live.read_bytes().splitlines() == [*first.bodies, *second.bodies]


async def test_it_appends_to_what_is_there(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    await write(live, transaction(1))
    await write(live, transaction(1, first=1))
    assert ids(live) == ["s.0", "s.1"]


async def test_files_and_new_directories_are_private(tmp_path: Path) -> None:
    live = tmp_path / "new" / "deep" / "audits.log"
    await write(live, transaction(1))
    modes = [stat.S_IMODE(p.stat().st_mode) for p in (live, live.parent, live.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


async def test_a_relative_url_is_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = File(config("file://./audits.log"))
    assert await file.attempt(transaction(1)) == ACCEPTED
    await file.aclose()
    assert ids(tmp_path / "audits.log") == ["s.0"]


async def test_rotation_by_size_never_splits_a_line_and_loses_none(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    sent = [transaction(7, size=100, first=7 * i) for i in range(10)]
    assert await write(live, *sent, query="?max_size=1000&max_backups=100") == [ACCEPTED] * 10
    rotated = rotation.backups(live)
    assert len(rotated) == 7
    assert all(p.stat().st_size <= 1000 for p in (*rotated, live))
    assert [i for p in (*rotated, live) for i in ids(p)] == [i for t in sent for i in t.unique_ids()]


async def test_a_rotated_name_is_stem_time_suffix(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    await write(live, transaction(3, size=100), query="?max_size=150")
    names = [p.name for p in rotation.backups(live)]
    assert names == ["audits-20260504T120001.250.log", "audits-20260504T120001.251.log"]


async def test_a_line_longer_than_the_limit_has_a_file_of_its_own(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    await write(live, transaction(3, size=500), query="?max_size=100")
    assert [ids(p) for p in (*rotation.backups(live), live)] == [["s.0"], ["s.1"], ["s.2"]]


async def test_rotation_by_age_of_the_first_line(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    await write(live, transaction(1), query="?max_age=1h")  # its create_time is 12:00:01
    await write(live, transaction(1, first=1), query="?max_age=1h", now=NOW + timedelta(minutes=59))
    assert ids(live) == ["s.0", "s.1"]
    await write(live, transaction(1, first=2), query="?max_age=1h", now=NOW + timedelta(minutes=61))
    assert ids(live) == ["s.2"]
    assert [ids(p) for p in rotation.backups(live)] == [["s.0", "s.1"]]


async def test_only_the_newest_backups_are_kept_and_nothing_foreign_is_deleted(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    foreign = [
        tmp_path / name
        for name in (
            "audits-old.log",
            "other-20260504T120001.250.log",
            "audits.log.1",
            "audits-20269999T120001.250.log",
        )
    ]
    for path in foreign:
        path.write_text("keep me")
    await write(live, transaction(6, size=100), query="?max_size=100&max_backups=2")
    assert [ids(p) for p in rotation.backups(live)] == [["s.3"], ["s.4"]]
    assert all(p.read_text() == "keep me" for p in foreign)


async def test_rotated_files_are_compressed(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    await write(live, transaction(3, size=100), query="?max_size=150&compress")
    rotated = rotation.backups(live)
    assert all(re.fullmatch(r"audits-\d{8}T\d{6}\.\d{3}\.log\.gz", p.name) for p in rotated)
    assert [ids(p) for p in rotated] == [["s.0"], ["s.1"]]
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in rotated)


async def test_what_a_crash_left_while_compressing_is_cleaned_up(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    half = tmp_path / "audits-20260101T000000.000.log"
    half.write_bytes(body(100) + b"\n")
    torn = half.with_name(half.name + ".gz.tmp")
    torn.write_bytes(b"\x1f\x8b")
    whole = tmp_path / "audits-20260102T000000.000.log"
    whole.write_bytes(body(101) + b"\n")
    whole.with_name(whole.name + ".gz").write_bytes(gzip.compress(body(101) + b"\n"))
    await write(live, transaction(2, size=100), query="?max_size=150&compress")
    assert not torn.exists()
    assert not whole.exists()
    assert [ids(p) for p in rotation.backups(live)] == [["s.64"], ["s.65"], ["s.0"]]


def test_a_stopped_compression_leaves_the_original(tmp_path: Path) -> None:
    path = tmp_path / "audits-20260101T000000.000.log"
    path.write_bytes(b"x" * 1000)
    assert not rotation.compress(path, stopped=lambda: True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("how", ["renamed", "removed", "replaced", "directory removed"])
async def test_it_goes_on_in_a_new_file_when_the_live_one_is(how: str, tmp_path: Path) -> None:
    live = tmp_path / "logs" / "audits.log"
    file = File(config(live))
    await file.attempt(transaction(1))
    if how == "renamed":
        live.rename(tmp_path / "moved")
    else:
        live.unlink()
    if how == "replaced":
        live.write_bytes(b"")
    if how == "directory removed":
        live.parent.rmdir()
    assert await file.attempt(transaction(1, first=1)) == ACCEPTED
    await file.aclose()
    assert ids(live) == ["s.1"]


async def test_it_goes_on_at_the_start_when_the_live_file_is_truncated(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    file = File(config(live))
    await file.attempt(transaction(1))
    os.truncate(live, 0)
    await file.attempt(transaction(1, first=1))
    await file.aclose()
    assert ids(live) == ["s.1"]


@pytest.mark.parametrize("torn", [body(1)[:1], body(1)[:5], body(1)[:20], body(1), b"\0" * 50, body(1, 200_000)[:-1]])
async def test_a_line_that_a_crash_tore_is_cut_off(torn: bytes, tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(body(0) + b"\n" + torn)
    await write(live, transaction(1, first=1))
    assert ids(live) == ["s.0", "s.1"]


async def test_a_file_of_nothing_but_a_torn_line_is_empty(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(body(0)[:30])
    await write(live, transaction(1))
    assert ids(live) == ["s.0"]


async def test_a_foreign_last_line_is_ended_and_kept(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(b"somebody's notes")
    await write(live, transaction(1))
    assert live.read_bytes() == b"somebody's notes\n" + body(0) + b"\n"


async def test_a_huge_file_without_a_newline_is_not_read_whole(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    with live.open("wb") as file:
        file.truncate(50 << 30)  # sparse
        file.seek(0, os.SEEK_END)
        file.write(b"x")
    await write(live, transaction(1), query="?max_size=100GiB")
    with live.open("rb") as file:
        file.seek((50 << 30) + 1)
        assert file.read() == b"\n" + body(0) + b"\n"


async def test_a_full_disk_is_not_now_and_leaves_no_half_line(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    file = File(config(live))
    assert await file.attempt(transaction(10, size=1000)) == ACCEPTED
    with full_disk(14_500):
        answer = await file.attempt(transaction(10, size=1000, first=10))
    assert list(answer.pending) == list(range(10))
    assert answer.failure is not None
    assert answer.failure.kind is Kind.NOT_NOW
    assert len(ids(live)) == 10
    assert await file.attempt(transaction(10, size=1000, first=10)) == ACCEPTED
    await file.aclose()
    assert len(ids(live)) == 20


async def test_events_before_the_disk_was_full_are_accepted(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    file = File(config(live, "?max_size=2100"))
    with full_disk(2500):
        answer = await file.attempt(of_sizes(sizes=[1000, 1000, 1000, 5000, 100]))
    await file.aclose()
    assert list(answer.pending) == [3, 4]
    assert [ids(p) for p in rotation.backups(live)] == [["s.0", "s.1"], ["s.2"]]


@pytest.mark.parametrize("obstacle", ["directory", "device", "file for a parent"])
async def test_a_path_that_can_hold_no_log_is_the_destination_s_trouble(obstacle: str, tmp_path: Path) -> None:
    path: Any = {
        "directory": tmp_path,
        "device": "/dev/full",
        "file for a parent": tmp_path / "plain" / "audits.log",
    }[obstacle]
    (tmp_path / "plain").write_text("")
    (answer,) = await write(path, transaction(2))
    assert list(answer.pending) == [0, 1]
    assert answer.failure is not None
    assert answer.failure.kind is Kind.DESTINATION
    assert str(path) in answer.failure.reason


async def test_attempts_at_the_same_time_do_not_mix(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    file = File(config(live, "?max_size=3000&max_backups=100"))
    async with anyio.create_task_group() as group:
        for i in range(20):
            group.start_soon(file.attempt, transaction(5, size=100, first=5 * i))
    await file.aclose()
    found = [i for p in (*rotation.backups(live), live) for i in ids(p)]
    assert sorted(found) == sorted(transaction(100).unique_ids())


async def test_closing_what_was_never_used_creates_nothing(tmp_path: Path) -> None:
    await write(tmp_path / "new" / "audits.log")
    assert children(tmp_path) == []


def test_mistakes_are_named_by_key(tmp_path: Path) -> None:
    assert problems(config(tmp_path / "a.log")) == []
    assert problems(config("file://server/a.log"))[0][:2] == ("location", "host 'server'")
    assert problems(config(tmp_path))[0][0] == "location"


def of_sizes(*, sizes: list[int]) -> Transaction:
    bodies = [body(i, size) for i, size in enumerate(sizes)]
    return Transaction(bodies=bodies, slices=[Slice(stream="s", offsets=range(len(sizes)), end=len(sizes))])
