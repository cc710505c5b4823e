"""Large compressed members are looked at beside everything else, and nothing of what they hold is sent twice."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import anyio
import pytest

from agent.stats import AgentStats
from agent.streams.looks import Looks, NotYetError
from agent.streams.places import look
from tests.support.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LINE = b"one and the same line, " * 2000 + b"\n"
LINES = 4400
"""Some 200 MB, and a few hundred KB compressed."""


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (tmp_path / "state").mkdir()
    return folder


@pytest.fixture
def follower(tmp_path: Path, logs: Path) -> Iterator[Follower]:
    following = Follower(tmp_path / "state", logs / "*.log")
    try:
        yield following
    finally:
        following.close()


def pack(path: Path, member: Path) -> None:
    """Compress as logrotate does, in one step: the member appears whole, with the times of its original."""
    status = path.stat()
    packed = path.with_name("being-packed")
    with gzip.open(packed, "wb", compresslevel=1) as target:
        target.write(path.read_bytes())
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    packed.rename(member)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(120):
        while not condition():  # noqa: ASYNC110 # there is no event for it
            await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_fresh_line_arrives_while_a_large_member_is_being_recognised(follower: Follower, logs: Path) -> None:
    (logs / "big.log").write_bytes(LINE * LINES)
    source = follower.source
    read: list[str] = []
    async with anyio.create_task_group() as group:
        await group.start(source.run, AgentStats(agent_id="a", version="1", started_at=0.0))
        follower.feed.begin()
        read += follower.read()
        follower.commit()
        assert len(read) == LINES
        (logs / "big.log").rename(logs / "big.log.1")
        pack(logs / "big.log.1", logs / "big.log.1.gz")
        await until(lambda: source.catalog.looks.waiting)
        (logs / "fresh.log").write_text("fresh\n")
        read.clear()
        while "fresh" not in read:
            assert source.catalog.looks.waiting, "the member was recognised before the fresh line arrived"
            await anyio.sleep(0.001)
            read += follower.read()
        (logs / "big.log.1").unlink()
        await until(lambda: not source.catalog.looks.waiting and not source.catalog.unfinished)
        read += follower.read()
        group.cancel_scope.cancel()
    assert read == ["fresh"]
    assert len(list(follower.streams())) == 2


@pytest.mark.anyio
async def test_a_large_member_is_known_before_the_first_scan_is_over(follower: Follower, logs: Path) -> None:
    (logs / "big.log").write_bytes(LINE * LINES)
    assert len(follower.poll()) == LINES
    pack(logs / "big.log", logs / "big.log.1.gz")
    (logs / "big.log").unlink()
    follower.restart()
    async with anyio.create_task_group() as group:
        await group.start(follower.source.run, AgentStats(agent_id="a", version="1", started_at=0.0))
        assert not follower.source.catalog.unfinished
        follower.feed.begin()
        assert follower.read() == []
        group.cancel_scope.cancel()
    assert [stream.path for stream in follower.streams()] == [str(logs / "big.log.1.gz")]


@pytest.mark.anyio
async def test_an_answer_is_forgotten_once_the_file_is_another(logs: Path) -> None:
    looks = Looks(small=0)
    looks.later = True
    member = logs / "a.log.1.gz"
    member.write_bytes(gzip.compress(b"one\n")[:-9])
    before = look(str(member))
    assert before is not None
    with pytest.raises(NotYetError):
        looks.whole(before)
    await looks.answer()
    assert not looks.whole(before)
    member.write_bytes(gzip.compress(b"one\n"))
    after = look(str(member))
    assert after is not None
    with pytest.raises(NotYetError):
        looks.whole(after)
    await looks.answer()
    assert looks.whole(after)


def test_a_lane_that_stands_far_in_a_large_member_lets_others_read_meanwhile(follower: Follower, logs: Path) -> None:
    (logs / "big.log.1.gz").write_bytes(gzip.compress(LINE * LINES, compresslevel=1))
    os.utime(logs / "big.log.1.gz", (1e9, 1e9))
    (logs / "other.log").write_text("other\n")
    follower.look()
    seen: list[str] = []
    while len(seen) < LINES - 100:
        seen += follower.read(1)
    follower.commit()
    follower.restart()
    with (logs / "other.log").open("a") as file:
        file.write("fresh\n")
    follower.look()
    first: list[str] = []
    blocks = 0
    while not first:
        first += follower.read(1)
        blocks += 1
    assert first == ["fresh"]
    assert blocks > 1, "the member's turn came first, and did not last until its next lines were found"
    rest = follower.read()
    assert len(seen) + len(first) + len(rest) == LINES + 2
