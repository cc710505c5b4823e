"""What was settled outlives a kill although its cursor was not committed, and never outlives its cursor."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import structlog.testing

from agent.state.records import CursorRow
from agent.state.store import Store

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "0123456789abcdef" * 2


def begun(path: Path, position: int, *, lane: str = "siem") -> None:
    with closing(Store(path)) as store:
        store.commit_cursors({lane: [CursorRow(stream=STREAM, position=position, mark_at=position, mark=b"m" * 16)]})


def recalled(path: Path, lane: str = "siem") -> list[tuple[int, int]]:
    with closing(Store(path)) as store:
        store.recall_settled()
        return [(row.position, row.mark_at) for row in store.cursors(lane)]


def test_what_was_settled_after_the_last_commit_is_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 350)
        store.settle("siem", STREAM, 700)
    assert recalled(path) == [(700, 100)]  # the tail mark stays where it is known


def test_a_mark_behind_the_cursor_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 50)
    begun(path, 100)
    assert recalled(path) == [(100, 100)]


def test_a_mark_is_of_one_lane_and_of_no_other(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    begun(path, 10, lane="archive")
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 700)
    assert recalled(path, "archive") == [(10, 10)]


def test_a_destination_that_was_dropped_and_is_back_starts_where_its_new_cursor_says(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 700)
        store.drop_cursors("siem")
    begun(path, 5)
    assert recalled(path) == [(5, 5)]


def test_marks_of_one_run_do_not_count_in_the_one_after_the_next(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 700)
    recalled(path)
    begun(path, 200)
    assert recalled(path) == [(200, 200)]


def test_a_stream_that_was_forgotten_leaves_no_mark(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 700)
        store.forget_stream(STREAM)
    begun(path, 3)
    assert recalled(path) == [(3, 3)]


def test_a_state_that_cannot_be_written_costs_a_repetition_and_not_the_start(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begun(path, 100)
    with closing(Store(path)) as store:
        store.settle("siem", STREAM, 700)
    with closing(Store(path)) as store:
        store._db.execute("PRAGMA query_only=ON")  # what a full disk does, on any machine
        with structlog.testing.capture_logs() as logged:
            store.recall_settled()
        assert [row.position for row in store.cursors("siem")] == [100]
    assert [line["event"] for line in logged] == ["settled_marks_unused"]
    assert recalled(path) == [(100, 100)]
