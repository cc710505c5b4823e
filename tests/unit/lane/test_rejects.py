"""Refused events on disk."""

from __future__ import annotations

import os
import resource
import stat
from typing import TYPE_CHECKING

import anyio
import pytest

from agent.destinations.base import Refusal
from agent.lane.rejects import Rejects
from tests.support.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

INVALID = Refusal(counter="drop_invalid_format", reason="no such field", status=400, excerpt='{"error":"x"}')


def _events(rejects: Rejects) -> list[bytes]:
    return [bytes(each.event) for each in rejects]


@pytest.fixture
def _restored_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_pain_29_a_refused_event_is_kept_byte_for_byte_with_its_reason(tmp_path: Path) -> None:
    sent = transaction(3)
    await Rejects(tmp_path, "hook").put(sent, {1: INVALID})
    (kept,) = Rejects(tmp_path, "hook")
    assert bytes(kept.event) == sent.bodies[1]
    assert (kept.destination, kept.counter, kept.reason) == ("hook", "drop_invalid_format", "no such field")
    assert (kept.status, kept.excerpt) == (400, '{"error":"x"}')
    assert kept.time.endswith("Z")


async def test_refused_events_are_kept_in_the_order_of_their_stream(tmp_path: Path) -> None:
    sent = transaction(5)
    await Rejects(tmp_path, "hook").put(sent, {4: INVALID, 0: INVALID, 2: INVALID})
    assert _events(Rejects(tmp_path, "hook")) == [sent.bodies[i] for i in (0, 2, 4)]


async def test_refusals_of_several_senders_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    # A write that begins where another has not ended yet would overwrite it: refused events would vanish.
    senders = [Rejects(tmp_path, "hook") for _ in range(2)]
    async with anyio.create_task_group() as tasks:
        for n in range(100):
            tasks.start_soon(senders[n % 2].put, transaction(1, first=n), {0: INVALID})
    assert sorted(_events(senders[0])) == sorted(transaction(100).bodies)


async def test_nobody_else_may_read_rejects(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(1), {0: INVALID})
    assert stat.S_IMODE(rejects.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(rejects.files()[0].stat().st_mode) == 0o600


def test_nothing_is_created_before_the_first_refusal(tmp_path: Path) -> None:
    assert list(Rejects(tmp_path, "hook")) == []
    assert list(tmp_path.iterdir()) == []


async def test_a_line_that_a_crash_left_torn_is_left_out_and_written_over(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(2), {0: INVALID})
    (path,) = rejects.files()
    whole = path.read_bytes()
    for torn in (b"{", whole[:-1], whole[:40] + b"x" * 200_000):
        path.write_bytes(whole + torn)
        assert _events(rejects) == [transaction(1).bodies[0]]
    await rejects.put(transaction(2), {1: INVALID})
    assert _events(rejects) == transaction(2).bodies
    assert rejects.files() == [path]


async def test_a_file_with_nothing_but_a_torn_line_starts_over(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(1), {0: INVALID})
    (path,) = rejects.files()
    path.write_bytes(path.read_bytes()[:-1])
    await rejects.put(transaction(1), {0: INVALID})
    assert _events(rejects) == transaction(1).bodies


async def test_a_full_file_is_followed_by_another_and_all_are_read_in_order(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook", file_bytes=600)
    for n in range(10):
        await rejects.put(transaction(1, first=n), {0: INVALID})
    assert len(rejects.files()) > 2
    assert _events(rejects) == transaction(10).bodies


async def test_a_clock_set_back_does_not_mix_up_the_files(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook", file_bytes=600)
    await rejects.put(transaction(1), {0: INVALID})
    (path,) = rejects.files()
    path.rename(rejects.folder / f"{9 * 10**18:020d}.jsonl")  # written when the clock was far ahead
    for n in range(1, 10):
        await rejects.put(transaction(1, first=n), {0: INVALID})
    assert _events(rejects) == transaction(10).bodies
    assert len(rejects.files()) < 10


async def test_foreign_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(1), {0: INVALID})
    foreign = rejects.folder / "zz-notes.jsonl"
    foreign.write_text("mine")
    await rejects.put(transaction(2), {1: INVALID})
    assert _events(rejects) == transaction(2).bodies
    assert foreign.read_text() == "mine"


@pytest.mark.usefixtures("_restored_limit")
async def test_pain_15_a_write_that_fails_half_way_leaves_no_trace_and_can_be_repeated(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(1), {0: INVALID})
    (path,) = rejects.files()
    before = path.read_bytes()
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    with pytest.raises(OSError, match="too large"):
        await rejects.put(transaction(2), {1: INVALID})
    assert path.read_bytes() == before
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await rejects.put(transaction(2), {1: INVALID})
    assert _events(rejects) == transaction(2).bodies


async def test_a_folder_that_cannot_be_made_raises(tmp_path: Path) -> None:
    (tmp_path / "rejects").write_text("in the way")
    with pytest.raises(OSError, match="rejects"):
        await Rejects(tmp_path, "hook").put(transaction(1), {0: INVALID})


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d", "a/b", "..", ".", "soc webhook", "größe", "x" * 128, "a\0b", "-", "a.b"]
)
async def test_any_name_of_a_destination_gives_one_folder_below_rejects(tmp_path: Path, name: str) -> None:
    rejects = Rejects(tmp_path, name)
    await rejects.put(transaction(1), {0: INVALID})
    assert [p.parent for p in tmp_path.rglob("*.jsonl")] == [rejects.folder]  # noqa: ASYNC240 - nothing else runs
    assert rejects.folder.parent == tmp_path / "rejects"
    assert next(iter(rejects)).destination == name


def test_names_that_look_alike_have_different_folders(tmp_path: Path) -> None:
    names = ["a/b", "a_b", "a b", "x" * 64, "x" * 65, "x" * 66]
    assert len({Rejects(tmp_path, name).folder for name in names}) == len(names)


async def test_a_long_response_is_cut_and_a_broken_one_does_not_keep_the_refusal_from_the_disk(tmp_path: Path) -> None:
    refusal = Refusal(counter="drop_rejected", reason="half a pair: \ud83d", excerpt="\udc00" * 5000)
    await Rejects(tmp_path, "hook").put(transaction(1), {0: refusal})
    (kept,) = Rejects(tmp_path, "hook")
    assert kept.reason == "half a pair: ?"
    assert kept.excerpt == "?" * 1000


async def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path, "hook")
    await rejects.put(transaction(1), {0: INVALID})
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used
    for n in range(20):
        await rejects.put(transaction(1, first=n), {0: INVALID})
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - counted, not used


async def test_pain_13_a_refusal_is_kept_only_once_the_disk_has_it_and_a_failing_one_leaves_no_half(
    tmp_path: Path,
) -> None:
    works: list[bool] = []

    def sync(descriptor: int) -> None:
        if not works:
            raise OSError(5, "Input/output error")
        os.fsync(descriptor)

    rejects = Rejects(tmp_path, "d", sync=sync)
    with pytest.raises(OSError, match="Input/output"):
        await rejects.put(transaction(3), {1: INVALID})
    assert list(rejects) == []
    works.append(True)
    await rejects.put(transaction(3), {1: INVALID})
    assert len(list(rejects)) == 1
