"""Reading by offset, plain and compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.streams.content import open_content
from agent.streams.lines import Lines, next_lines
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.streams.content import Content

DATA = b"".join(b"line %d\n" % n for n in range(50_000))


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": _zstd,
}


@pytest.fixture(scope="module", params=PACK)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("content") / f"a.log{request.param}"
    path.write_bytes(PACK[request.param](DATA))
    return path


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=st.lists(st.tuples(st.integers(0, len(DATA) + 100), st.integers(0, 300_000)), min_size=1, max_size=12))
def test_any_bytes_at_any_offset_in_any_order(path: Path, reads: list[tuple[int, int]]) -> None:
    content = open_content(str(path))
    try:
        for offset, size in reads:
            assert content.read(offset, size) == DATA[offset : offset + size]
    finally:
        content.close()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(-40_000, 40_000), st.integers(0, 40_000)), min_size=1, max_size=30))
def test_what_was_just_read_is_read_again(path: Path, steps: list[tuple[int, int]]) -> None:
    content, at = open_content(str(path)), 0
    try:
        for step, size in steps:
            at = max(0, min(at + step, len(DATA) + 10))
            data = content.read(at, size)
            assert data == DATA[at : at + size]
            at += len(data)
    finally:
        content.close()


def test_the_length_is_known_at_the_end(path: Path) -> None:
    content = open_content(str(path))
    assert content.length() in {None, len(DATA)}
    at = 0
    while data := content.read(at, 100_000):
        at += len(data)
    assert content.length() == len(DATA)
    assert content.stat().st_size == path.stat().st_size
    content.close()
    content.close()


def test_two_members_in_one_file_are_read_as_one(tmp_path: Path) -> None:
    for end in (".gz", ".bz2", ".xz", ".zst"):
        path = tmp_path / f"a{end}"
        path.write_bytes(PACK[end](b"one\n") + PACK[end](b"two\n"))
        content = open_content(str(path))
        assert content.read(0, 100) == b"one\ntwo\n"
        content.close()


@pytest.mark.parametrize("end", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign"])
def test_a_damaged_member_raises_one_of_the_named_errors(tmp_path: Path, end: str, damage: str) -> None:
    packed = bytearray(PACK[end](DATA))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    elif damage == "flipped":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed[:] = b"not compressed at all\n"
    path = tmp_path / f"a{end}"
    path.write_bytes(packed)
    content = open_content(str(path))
    with pytest.raises(DAMAGED):
        read_to_the_end(content)
    content.close()


def read_to_the_end(content: Content) -> None:
    at = 0
    while data := content.read(at, 2 * len(DATA)):
        at += len(data)


@pytest.mark.parametrize("line_bytes", [300, 30_000])
def test_a_member_is_read_once_although_chunks_end_within_lines(
    tmp_path: Path, line_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log.1.gz"
    text = b"".join(
        random.Random(n).randbytes(line_bytes // 2).hex().encode() + b"\n" for n in range(8 << 20)[::line_bytes]
    )
    path.write_bytes(gzip.compress(text, 1))
    pread, given = os.pread, []

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        given.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    content = open_content(str(path))
    at, lines = 0, []
    while found := next_lines(content, at, most_line=1 << 20, final=True):
        assert isinstance(found, Lines)
        lines.append(found.data)
        at = found.end
    content.close()
    assert b"".join(lines) == text
    assert len(lines) > 7
    assert sum(given) == path.stat().st_size


def test_a_deleted_file_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n")
    content = open_content(str(path))
    path.unlink()
    assert content.read(0, 10) == b"one\n"
    content.close()


def test_what_a_small_zst_unfolds_to_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.log.zst"
    path.write_bytes(_zstd(b"0" * (64 << 20)))
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    content = open_content(str(path))
    at = 0
    while data := content.read(at, 100_000):
        at += len(data)
    content.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert at == 64 << 20
    assert peak < 8 << 20


@pytest.mark.parametrize("damage", [lambda data: data[:-6], lambda data: data + b"not gzip"])
def test_what_stands_before_the_damage_of_a_small_member_is_read(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.log.1.gz"
    text = b"".join(b"line %d\n" % n for n in range(10))
    path.write_bytes(damage(gzip.compress(text)))
    content = open_content(str(path))
    try:
        assert content.read(0, 1 << 20) == text
        assert content.read(7, 7) == text[7:14]
        with pytest.raises(DAMAGED):
            content.read(len(text), 1 << 20)
    finally:
        content.close()
