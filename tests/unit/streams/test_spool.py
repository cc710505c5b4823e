"""The spool: durable before it returns, whole lines only, bounded, gone once it is delivered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from agent.streams.spool import Spool, SpoolFull

pytestmark = pytest.mark.anyio


def made(folder: Path, *, max_bytes: int = 1 << 20, **more: int) -> Spool:
    spool = Spool(str(folder / "spool" / "push"), max_bytes=max_bytes, **more)
    spool.open()
    return spool


def content(spool: Spool) -> bytes:
    return b"".join(Path(path).read_bytes()[: spool.visible(path)] for path in spool.segments)


def add(path: str, data: bytes) -> None:
    """Append to a segment behind the spool's back."""
    with Path(path).open("ab") as file:
        file.write(data)


def size(path: str) -> int | None:
    return Path(path).stat().st_size if Path(path).exists() else None


async def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    spool = made(tmp_path)
    await spool.append(b"a\nb\n")
    await spool.append(b"c\n")
    again = made(tmp_path)
    assert content(again) == b"a\nb\nc\n"
    await again.append(b"d\n")
    assert content(again) == b"a\nb\nc\nd\n"


async def test_appends_that_come_together_are_all_there_in_order(tmp_path: Path) -> None:
    spool, told = made(tmp_path), []
    spool.appended = lambda path: told.append(spool.visible(path))
    async with anyio.create_task_group() as group:
        for n in range(50):
            group.start_soon(spool.append, b"%d\n" % n)
    assert content(spool) == b"".join(b"%d\n" % n for n in range(50))
    assert len(told) < 50, "each append had an fsync of its own"
    assert told == sorted(told)


async def test_nobody_is_answered_before_the_disk_has_it(tmp_path: Path) -> None:
    order: list[str] = []

    def sync(descriptor: int) -> None:
        time.sleep(0.05)
        order.append(f"synced {os.fstat(descriptor).st_size}")

    spool = Spool(str(tmp_path / "spool"), max_bytes=1 << 20, sync=sync)
    spool.open()

    async def append(data: bytes) -> None:
        await spool.append(data)
        order.append(f"answered {data.decode().strip()}")

    async with anyio.create_task_group() as group:
        for n in range(4):
            group.start_soon(append, b"%d\n" % n)
    for n in range(4):
        before = order[: order.index(f"answered {n}")]
        assert max(int(step.split()[1]) for step in before if step.startswith("synced")) >= 2 * (n + 1)
    assert len([step for step in order if step.startswith("synced")]) < 4


async def test_when_the_disk_cannot_promise_nothing_counts_as_written(tmp_path: Path) -> None:
    failing = True

    def sync(descriptor: int) -> None:
        if failing:
            raise OSError(5, "Input/output error")

    spool = Spool(str(tmp_path / "spool"), max_bytes=1 << 20, sync=sync)
    spool.open()
    told: list[str] = []
    spool.appended = told.append
    with pytest.raises(OSError, match="Input/output"):
        await spool.append(b"a\n")
    assert (told, list(spool.segments), spool.used) == ([], [], 0)
    failing = False
    await spool.append(b"b\n")
    assert content(spool) == b"b\n"


async def test_a_torn_last_line_is_cut_off_and_the_rest_stays(tmp_path: Path) -> None:
    spool = made(tmp_path)
    await spool.append(b"x" * 200_000 + b"\n")
    await spool.aclose()
    add(spool.segments[0], b"y" * 150_000)
    again = made(tmp_path)
    assert content(again) == b"x" * 200_000 + b"\n"
    assert size(again.segments[0]) == 200_001


async def test_a_segment_with_nothing_whole_in_it_is_removed(tmp_path: Path) -> None:
    spool = made(tmp_path)
    await spool.append(b"x\n")
    os.truncate(spool.segments[0], 1)
    assert list(made(tmp_path).segments) == []
    assert size(spool.segments[0]) is None


async def test_segments_are_numbered_on_also_when_all_were_removed(tmp_path: Path) -> None:
    spool = made(tmp_path, segment_bytes=4)
    names = []
    for _ in range(3):
        await spool.append(b"abcd\n")
        names.append(spool.segments[-1])
    for name in names:
        assert spool.remove(name)
    again = made(tmp_path, segment_bytes=4)
    await again.append(b"abcd\n")
    names.append(again.segments[-1])
    assert names == sorted(set(names))


async def test_at_the_bound_nothing_is_taken_until_a_segment_is_removed(tmp_path: Path) -> None:
    spool = made(tmp_path, max_bytes=100)
    for _ in range(9):
        await spool.append(b"123456789\n")
    with pytest.raises(SpoolFull):
        await spool.append(b"123456789ab\n")
    assert spool.used == 90
    assert spool.remove(spool.segments[0])
    await spool.append(b"123456789ab\n")


async def test_the_newest_segment_goes_only_when_its_room_is_needed(tmp_path: Path) -> None:
    spool = made(tmp_path, max_bytes=1000)
    await spool.append(b"x" * 99 + b"\n")
    newest = spool.segments[-1]
    assert not spool.remove(newest)
    with pytest.raises(SpoolFull):
        await spool.append(b"x" * 950 + b"\n")
    assert spool.remove(newest)
    await spool.append(b"x" * 950 + b"\n")


async def test_an_append_is_invisible_until_it_is_durable(tmp_path: Path) -> None:
    spool = made(tmp_path)
    await spool.append(b"a\n")
    path = spool.segments[0]
    add(path, b"not yet\n")
    assert spool.visible(path) == 2


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    spool = made(tmp_path)
    await spool.append(b"a\n")
    async with anyio.create_task_group() as group:
        group.start_soon(spool.append, b"b\n")
        await anyio.lowlevel.checkpoint()
        await spool.aclose()
    with pytest.raises(OSError, match="ended"):
        await spool.append(b"c\n")
    assert content(made(tmp_path)) == b"a\nb\n"


async def test_a_cancelled_append_is_not_left_half_done(tmp_path: Path) -> None:
    spool = made(tmp_path)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await spool.append(b"a\n")
    await spool.append(b"b\n")
    assert content(spool) == b"a\nb\n"


FAILING = """
import resource, signal, sys, anyio
from pathlib import Path
from agent.streams.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main():
    spool = Spool(sys.argv[1], max_bytes=1 << 20)
    spool.open()
    await spool.append(b"first\\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    for data in (b"x" * 5000 + b"\\n", b"y" * 5000 + b"\\n"):
        try:
            await spool.append(data)
        except OSError as error:
            print("failed", error.errno, sum(map(spool.visible, spool.segments)))
    await spool.append(b"second\\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await spool.append(b"third\\n")

anyio.run(main)
"""


def test_nothing_of_an_append_that_failed_is_ever_read(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["failed 27 6", "failed 27 6"]
    spool = Spool(str(folder), max_bytes=1 << 20)
    spool.open()
    assert content(spool) == b"first\nsecond\nthird\n"
