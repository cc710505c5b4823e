"""The same lines come out wherever reads and writes split them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.streams.lines import CHUNK_BYTES, Lines, next_lines

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

SMALL = 64
"""The least that max_line_bytes may be."""


class Memory:
    """Bytes in memory as a file's content; counts the largest read."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.largest = 0

    def read(self, offset: int, size: int) -> bytes:
        self.largest = max(self.largest, size)
        return self.data[offset : offset + size]

    def length(self) -> int:
        return len(self.data)

    def stat(self) -> os.stat_result:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Reader:
    """Reads a growing content and keeps (offset, line, full length when cut)."""

    def __init__(self, most_line: int) -> None:
        self.content = Memory()
        self.found: list[tuple[int, bytes, int | None]] = []
        self._most_line = most_line
        self._at = 0
        self._scanned = 0

    def read(self, *, final: bool = False) -> None:
        while True:
            lines = next_lines(self.content, self._at, most_line=self._most_line, final=final, scanned=self._scanned)
            self._scanned = 0
            if not isinstance(lines, Lines):
                self._scanned = lines or 0
                return
            self._take(lines)

    def _take(self, lines: Lines) -> None:
        assert lines.data.endswith(b"\n")
        assert lines.end > self._at
        at = self._at
        for line in lines.data.split(b"\n")[:-1]:
            self.found.append((at, line, lines.cut_from))
            at += len(line) + 1
        if lines.cut_from is None:
            assert lines.end in {at, at - 1}
        else:
            assert len(lines.data.split(b"\n")) == 2
        self._at = lines.end


def expected(data: bytes, most_line: int) -> list[tuple[int, bytes, int | None]]:
    """Split all of ``data`` at once, its partial last line included."""
    at, lines = 0, []
    for line in data.split(b"\n") if not data.endswith(b"\n") else data.split(b"\n")[:-1]:
        lines.append((at, line[:most_line], len(line) if len(line) > most_line else None))
        at += len(line) + 1
    return lines if data else []


def read_in_pieces(data: bytes, splits: Iterable[int], most_line: int) -> Reader:
    reader = Reader(most_line)
    for split in [*sorted(splits), len(data)]:
        reader.content.data = data[:split]
        reader.read()
    reader.read(final=True)
    return reader


lines_of_a_file = st.lists(
    st.one_of(st.binary(max_size=20), st.integers(SMALL - 2, SMALL + 3).map(lambda n: b"y" * n)), max_size=12
).map(b"\n".join)


@given(data=lines_of_a_file, splits=st.lists(st.integers(0, 400), max_size=8))
def test_pain_8_every_split_gives_the_same_lines(data: bytes, splits: list[int]) -> None:
    assert read_in_pieces(data, splits, SMALL).found == expected(data, SMALL)


def test_pain_8_every_single_split_point() -> None:
    data = b"alpha\n\nbeta\r\n" + b"y" * 70 + b"\ngamma"
    for split in range(len(data) + 1):
        assert read_in_pieces(data, [split], SMALL).found == expected(data, SMALL)


@settings(max_examples=25)
@given(
    lengths=st.lists(
        st.one_of(st.integers(0, 200), st.integers(-2, 2).map(lambda n: CHUNK_BYTES + n), st.just(3 * CHUNK_BYTES)),
        min_size=1,
        max_size=4,
    ),
    splits=st.lists(st.integers(0, 4 * CHUNK_BYTES), max_size=3),
    most_line=st.sampled_from([SMALL, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES]),
    ended=st.booleans(),
)
def test_pain_9_lines_around_and_beyond_a_chunk(
    lengths: list[int], splits: list[int], most_line: int, ended: bool
) -> None:
    data = b"\n".join(bytes([65 + i]) * n for i, n in enumerate(lengths)) + b"\n" * ended
    reader = read_in_pieces(data, splits, most_line)
    assert reader.found == expected(data, most_line)
    assert reader.content.largest <= max(CHUNK_BYTES, most_line)


@pytest.mark.parametrize("final", [False, True])
def test_an_empty_content_has_no_lines(final: bool) -> None:
    assert next_lines(Memory(), 0, most_line=SMALL, final=final) is None


def test_a_partial_last_line_ends_where_its_bytes_end() -> None:
    lines = next_lines(Memory(b"one\ntw"), 4, most_line=SMALL, final=True)
    assert lines == Lines(data=b"tw\n", end=6)


def test_pain_9_a_long_line_that_grows_is_searched_on_from_where_the_search_ended() -> None:
    content = Memory(b"y" * (2 * CHUNK_BYTES))
    scanned = next_lines(content, 0, most_line=SMALL, final=False)
    assert scanned == 2 * CHUNK_BYTES
    content.data += b"y\nz\n"
    lines = next_lines(content, 0, most_line=SMALL, final=False, scanned=scanned)
    assert lines == Lines(data=b"y" * SMALL + b"\n", end=2 * CHUNK_BYTES + 2, cut_from=2 * CHUNK_BYTES + 1)
