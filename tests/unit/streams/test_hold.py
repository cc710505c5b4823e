"""What keeps the bytes of one stream: copies that grow, links of members, and what is found of them at a start."""

from __future__ import annotations

import gzip
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from agent.streams.content import Compressed, Plain
from agent.streams.copying import PIECE_BYTES, free_bytes
from agent.streams.hold import Holds
from agent.streams.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOM = 1 << 30


def stream_of(path: Path, *, name: str = "s1") -> Stream:
    """Return a stream that stands at ``path``."""
    status = path.stat()
    return Stream(
        id=name,
        source="app",
        family=str(path),
        head=b"",
        head_bytes=0,
        generation=0,
        path=str(path),
        last_path=str(path),
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
    )


def copy(holds: Holds, stream: Stream, content: Plain | Compressed, start: int, *, most: int = ROOM) -> None:
    anyio.run(partial(holds.copy, stream, content, start, most=most))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a.log.1"
    path.write_bytes(bytes(range(256)) * 40)
    return path


@pytest.fixture
def plain(log: Path) -> Iterator[Plain]:
    content = Plain(str(log))
    yield content
    content.close()


def names(holds: Holds) -> list[str]:
    return sorted(path.name for path in holds.folder.iterdir()) if holds.folder.is_dir() else []


def test_only_what_is_needed_is_copied_and_read_at_the_stream_s_offsets(log: Path, plain: Plain) -> None:
    holds, stream = Holds(log.parent / "holds", max_bytes=ROOM), stream_of(log)
    assert holds.missing(stream, plain, 5000) == 10240 - 5000
    copy(holds, stream, plain, 5000)
    assert holds.bytes() == 5240
    held = holds.open("s1")
    assert held is not None
    assert held.read(5000, ROOM) == log.read_bytes()[5000:]
    assert held.read(10000, 10) == log.read_bytes()[10000:10010]
    assert held.read(4999, 10) == b""
    assert held.length() == 10240
    held.close()
    assert log.stat().st_nlink == 1, "a second name would keep logrotate from compressing it"


def test_what_a_file_grew_by_is_all_that_is_copied_again(log: Path, plain: Plain) -> None:
    holds, stream = Holds(log.parent / "holds", max_bytes=ROOM), stream_of(log)
    copy(holds, stream, plain, 0)
    made = Path(holds.folder, *names(holds))
    inode = made.stat().st_ino
    with log.open("ab") as file:
        file.write(b"more")
    assert holds.missing(stream, plain, 100) == 4
    copy(holds, stream, plain, 100)
    assert (made.stat().st_ino, made.read_bytes()) == (inode, log.read_bytes())


@pytest.mark.parametrize("start", [0, 10240])
def test_a_copy_that_does_not_reach_what_is_needed_is_made_anew(log: Path, plain: Plain, start: int) -> None:
    holds, stream = Holds(log.parent / "holds", max_bytes=ROOM), stream_of(log)
    copy(holds, stream, plain, 5000, most=100)
    with log.open("ab") as file:
        file.write(b"more")
    copy(holds, stream, plain, start)
    assert names(holds) == [f"s1.copy.{start}"]
    assert Path(holds.folder, f"s1.copy.{start}").read_bytes() == log.read_bytes()[start:]


@pytest.mark.anyio
async def test_a_large_file_is_copied_in_pieces_and_a_stop_in_between_keeps_what_came(tmp_path: Path) -> None:
    path = tmp_path / "a.log.1"
    with path.open("wb") as file:
        file.truncate(64 * PIECE_BYTES)
    content, stream, holds = Plain(str(path)), stream_of(path), Holds(tmp_path / "holds", max_bytes=ROOM)
    async with anyio.create_task_group() as group:

        async def copy() -> None:
            await holds.copy(stream, content, 0, most=ROOM)

        group.start_soon(copy)
        while not holds.folder.is_dir() or not sum(entry.stat().st_size for entry in os.scandir(holds.folder)):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    came = Holds(tmp_path / "holds", max_bytes=ROOM).get("s1")
    assert came is not None
    assert 0 < came.end < 64 * PIECE_BYTES
    await holds.copy(stream, content, 0, most=ROOM)
    assert holds.missing(stream, content, 0) == 0
    assert holds.bytes() == 64 * PIECE_BYTES
    content.close()


def test_a_copy_tells_a_stream_of_an_earlier_run_how_long_it_is(log: Path, plain: Plain) -> None:
    copy(Holds(log.parent / "holds", max_bytes=ROOM), stream_of(log), plain, 5000)
    stream = stream_of(log)
    stream.size, stream.path = 5001, None
    Holds(log.parent / "holds", max_bytes=ROOM).recall(stream)
    assert (stream.size, stream.complete) == (10240, True)


def test_a_compressed_member_is_linked_and_takes_room_only_once_its_other_name_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.log.1.gz"
    path.write_bytes(gzip.compress(b"line\n" * 1000))
    holds, stream = Holds(tmp_path / "holds", max_bytes=ROOM), stream_of(path)
    assert holds.link(stream)
    assert names(holds) == ["s1.link.0.gz"]
    assert holds.bytes() == 0
    size = path.stat().st_size
    path.unlink()
    assert holds.bytes() == size
    stream.path = None
    found = Holds(tmp_path / "holds", max_bytes=ROOM)
    found.recall(stream)
    assert not stream.complete, "how much it unfolds to is learnt by reading"
    held = found.open("s1")
    assert held is not None
    assert held.read(4990, 100) == b"line\n" * 2
    held.close()


def test_a_compressed_member_takes_the_place_of_the_plain_copy_it_was_made_of(log: Path, plain: Plain) -> None:
    holds, stream = Holds(log.parent / "holds", max_bytes=ROOM), stream_of(log)
    copy(holds, stream, plain, 100)
    member = log.with_suffix(".1.gz")
    member.write_bytes(gzip.compress(log.read_bytes()))
    compressed = stream_of(member)
    content = Compressed(str(member))
    assert holds.missing(compressed, content, 100) == member.stat().st_size
    copy(holds, compressed, content, 100)
    content.close()
    assert names(holds) == ["s1.copy.0.gz"]
    held = holds.open("s1")
    assert held is not None
    assert held.read(0, ROOM) == log.read_bytes()
    held.close()


def test_two_holds_of_one_stream_that_a_crash_left_become_one_the_whole_one(log: Path, plain: Plain) -> None:
    folder = log.parent / "holds"
    copy(Holds(folder, max_bytes=ROOM), stream_of(log), plain, 100)
    (folder / "s1.copy.0.gz").write_bytes(b"\x1f\x8b")
    (folder / "s1.copy.90").write_bytes(b"x")
    (folder / "what.is.this").write_bytes(b"x")
    holds = Holds(folder, max_bytes=ROOM)
    assert names(holds) == ["s1.copy.100"]
    assert holds.ids() == ["s1"]


def test_the_disk_bounds_the_room_and_some_of_it_is_left_to_others(log: Path, plain: Plain) -> None:
    assert Holds(log.parent / "holds", max_bytes=ROOM, free=lambda _folder: 77).room() == 77
    bounded = Holds(log.parent / "holds", max_bytes=6000, free=lambda _folder: ROOM)
    copy(bounded, stream_of(log), plain, 5000)
    assert bounded.room() == 6000 - 5240
    found = os.statvfs(log.parent)
    spare = found.f_bavail * found.f_frsize - free_bytes(log.parent / "not" / "there" / "yet")
    assert 0 < spare < 1 << 30


def test_what_is_released_is_gone_from_the_disk(log: Path, plain: Plain) -> None:
    holds = Holds(log.parent / "holds", max_bytes=ROOM)
    copy(holds, stream_of(log), plain, 0)
    holds.release("s1")
    holds.release("s1")
    assert (names(holds), holds.open("s1"), holds.bytes()) == ([], None, 0)
