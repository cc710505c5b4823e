"""One stream against what arrived of it: every line is told apart exactly once, with its bytes."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.reconcile.judge import Judge, Named
from agent.reconcile.report import COUNTS, StreamReport
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def judged(
    arrived: Sequence[int],
    *,
    lines: int = 10,
    step: int = 4,
    cursor: int | None = 1000,
    rejected: Collection[int] = (),
    types: Sequence[str] = (),
    sent: str = "logs",
    skips_start: bool = False,
) -> StreamReport:
    """Judge ``lines`` lines of one byte each, ``step`` lines a block."""
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=cursor)
    judge = Judge(
        report,
        arrived=array("Q", sorted(arrived)),
        sent=lambda kind: kind == sent,
        rejected=rejected,
        skips_start=skips_start,
    )
    kinds = types or ["logs"] * lines
    for start in range(0, lines, step):
        count = min(step, lines - start)
        judge.take(block(start, count, types=kinds[start : start + count]))
    judge.finish()
    return report


def ranges(report: StreamReport, kind: str) -> list[tuple[int, int, int]]:
    return [(each.first, each.end, each.events) for each in report.ranges.get(kind, ())]


def test_everything_that_arrived_once_is_in_order() -> None:
    report = judged(range(10))
    assert report.counts == {"events": 10, "arrived": 10}
    assert report.ranges == {}
    assert report.read_to == 10


def test_neighbouring_lines_that_are_missing_are_one_range_of_bytes() -> None:
    assert ranges(judged([0, 1, 6, 7, 9]), "missing") == [(2, 6, 4), (8, 9, 1)]


def test_a_line_behind_the_cursor_is_missing_and_one_beyond_it_was_not_sent_yet() -> None:
    report = judged(range(4), cursor=7)
    assert ranges(report, "missing") == [(4, 7, 3)]
    assert ranges(report, "not_sent") == [(7, 10, 3)]


def test_what_has_arrived_counts_as_arrived_whatever_cursor_rejects_and_filters_say() -> None:
    report = judged(range(10), cursor=0, rejected=range(10), types=["api"] * 10)
    assert report.counts == {"events": 10, "arrived": 10}


def test_filtered_and_rejected_lines_are_not_missing() -> None:
    report = judged([0], lines=4, types=["logs", "api", "logs", "logs"], rejected={2})
    assert report.counts == {"events": 4, "arrived": 1, "filtered": 1, "rejected": 1, "missing": 1}
    assert ranges(report, "rejected") == [(2, 3, 1)]


def test_every_arrival_after_the_first_is_a_duplicate() -> None:
    report = judged([*range(10), 3, 3, 4])
    assert report.counts["arrived"] == 10
    assert ranges(report, "duplicate") == [(3, 5, 3)]


def test_an_id_at_which_no_line_begins_is_foreign_inside_and_behind_the_lines() -> None:
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=None)
    judge = Judge(report, arrived=array("Q", [0, 1, 7, 90]), sent=bool, rejected=(), skips_start=False)
    judge.take(block(0, 2, end=20))
    assert judge.finish() == 0
    assert ranges(report, "foreign") == [(7, 8, 1), (90, 91, 1)]


def test_what_lies_behind_lines_that_could_not_be_read_is_not_called_foreign() -> None:
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=None)
    judge = Judge(report, arrived=array("Q", [0, 90, 91]), sent=bool, rejected=(), skips_start=False)
    judge.take(block(0, 1))
    assert judge.finish(certain=False) == 2
    assert report.counts == {"events": 1, "arrived": 1}


def test_bytes_that_are_not_here_any_more_are_left_out() -> None:
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=10)
    judge = Judge(report, arrived=array("Q", [0, 1, 5, 6]), sent=bool, rejected=(), skips_start=False)
    assert judge.begin(5) == 2
    judge.take(block(5, 2))
    assert report.counts == {"events": 2, "arrived": 2}


def test_a_start_that_was_left_out_on_purpose_ends_at_the_first_line_that_was_sent() -> None:
    report = judged([3, 4, 6, 7, 8, 9], skips_start=True)
    assert ranges(report, "skipped") == [(0, 3, 3)]
    assert ranges(report, "missing") == [(5, 6, 1)]


def test_without_a_cursor_only_a_last_line_without_its_end_was_not_sent_yet() -> None:
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=None)
    judge = Judge(report, arrived=array("Q"), sent=bool, rejected=(), skips_start=False)
    judge.take(block(0, 3), whole=False)
    assert ranges(report, "missing") == [(0, 2, 2)]
    assert ranges(report, "not_sent") == [(2, 3, 1)]


def test_events_with_ids_of_their_own_are_judged_by_them() -> None:
    report = StreamReport(source="test", stream="s", path="/a.log", cursor=100)
    judge = Judge(report, arrived=array("Q", [3]), sent=bool, rejected={0}, skips_start=False)
    own = {0: Named(copies=0, rejected=False), 1: Named(copies=2, rejected=False), 2: Named(copies=0, rejected=True)}
    judge.take(block(0, 4), named=own)
    assert report.counts == {"events": 4, "arrived": 2, "duplicate": 1, "rejected": 1, "missing": 1}


def test_an_event_that_the_receiver_cannot_be_asked_for_is_never_taken_for_arrived_or_missing() -> None:
    for skips_start in (False, True):
        report = StreamReport(source="test", stream="s", path="/a.log", cursor=5)
        judge = Judge(report, arrived=array("Q", [1]), sent=lambda k: k == "logs", rejected=(), skips_start=skips_start)
        unknown = Named(copies=None, rejected=False)
        own = dict.fromkeys((0, 2, 3, 5), unknown) | {4: Named(copies=None, rejected=True)}
        judge.take(block(0, 6, types=["logs", "logs", "logs", "api", "logs", "logs"]), named=own)
        wanted = {"arrived": 1, "unchecked": 2, "filtered": 1, "rejected": 1, "not_sent": 1}
        assert report.counts == {"events": 6} | wanted
        assert ranges(report, "unchecked") == [(0, 1, 1), (2, 3, 1)]


@given(
    arrived=st.lists(st.integers(0, 25), max_size=40),
    lines=st.integers(1, 20),
    step=st.integers(1, 8),
    cursor=st.none() | st.integers(0, 25),
    rejected=st.sets(st.integers(0, 25)),
    skips_start=st.booleans(),
    data=st.data(),
)
def test_every_line_and_every_arrival_is_counted_exactly_once(
    arrived: list[int],
    lines: int,
    step: int,
    cursor: int | None,
    rejected: set[int],
    skips_start: bool,
    data: st.DataObject,
) -> None:
    types = data.draw(st.lists(st.sampled_from(["logs", "api"]), min_size=lines, max_size=lines))
    report = judged(
        arrived, lines=lines, step=step, cursor=cursor, rejected=rejected, types=types, skips_start=skips_start
    )
    counts = report.counts
    assert counts["events"] == lines
    assert counts["events"] == sum(counts[kind] for kind in COUNTS[1:8])
    assert counts["arrived"] + counts["duplicate"] + counts["foreign"] == len(arrived)
    assert counts["missing"] <= len(set(range(lines)) - set(arrived))
    for kind, found in report.ranges.items():
        assert sum(each.events for each in found) == counts[kind]
        assert all(one.end < other.first for one, other in pairwise(found))
