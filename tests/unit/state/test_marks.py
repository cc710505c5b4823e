"""Read marks outlive the process; what is torn or of nobody does not count."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from agent.state.marks import Marks

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)
MARK, OTHER = b"m" * 16, b"o" * 16


def test_the_last_mark_of_each_stream_is_there_after_the_process_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state.reads"
    with closing(Marks(path)) as marks:
        marks.put(ONE, 10, OTHER)
        marks.put(TWO, 1 << 40, MARK)
        marks.put(ONE, 20, MARK)
    with closing(Marks(path)) as marks:
        marks.recall({ONE, TWO})
        assert (marks.get(ONE), marks.get(TWO), marks.get(THREE)) == ((20, MARK), (1 << 40, MARK), (0, b""))


def test_streams_that_are_no_more_make_room(tmp_path: Path) -> None:
    path = tmp_path / "state.reads"
    with closing(Marks(path)) as marks:
        marks.put(ONE, 10, MARK)
        marks.forget(ONE)
        marks.put(TWO, 20, MARK)
        marks.put(THREE, 30, MARK)
        size = path.stat().st_size
    with closing(Marks(path)) as marks:
        marks.recall({THREE})
        assert (marks.get(TWO), marks.get(THREE)) == ((0, b""), (30, MARK))
        marks.put(ONE, 40, MARK)
        assert path.stat().st_size == size
        assert (marks.get(ONE), marks.get(THREE)) == ((40, MARK), (30, MARK))


def test_a_torn_mark_does_not_count_and_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "state.reads"
    with closing(Marks(path)) as marks:
        marks.put(ONE, 10, MARK)
        marks.put(TWO, 20, MARK)
    whole = path.read_bytes()
    for at in range(len(whole) // 2):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with closing(Marks(path)) as marks:
            marks.recall({ONE, TWO})
            assert (marks.get(ONE), marks.get(TWO)) == ((0, b""), (20, MARK))
    os.truncate(path, len(whole) - 1)
    with closing(Marks(path)) as marks:
        marks.recall({ONE, TWO})
        assert marks.get(TWO) == (0, b"")


def test_marks_that_cannot_be_kept_are_said_once_and_stop_nobody(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logged, closing(Marks(tmp_path)) as marks:
        marks.recall({ONE})
        marks.put(ONE, 10, MARK)
        assert marks.get(ONE) == (0, b"")
    assert [line["event"] for line in logged] == ["mark_failed"]
