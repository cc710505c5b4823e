"""A segment of a spool goes only when the disk knows that every destination has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from agent.app.sweep import Sweeper
from agent.state.records import CursorRow
from agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


@dataclass
class _Segment:
    id: str = "s"
    size: int = 100


@dataclass
class _Lines:
    scanned: anyio.Event = field(default_factory=anyio.Event)


class _Spool:
    """A source with segments; what is removed is written down in order."""

    def __init__(self, done: list[str]) -> None:
        self.lines = _Lines()
        self.lines.scanned.set()
        self.segments = [_Segment()]
        self._done = done

    def sweep(self, past: Callable[[Any], bool]) -> list[str]:
        gone = [each.id for each in self.segments if past(each)]
        self.segments = [each for each in self.segments if each.id not in gone]
        self._done += [f"removed {each}" for each in gone]
        return gone


class _Lane:
    def __init__(self, *, past: bool) -> None:
        self.past = past
        self.forgotten: list[str] = []

    def is_past(self, _stream: Any) -> bool:
        return self.past

    def forget(self, stream: str) -> None:
        self.forgotten.append(stream)


def _sweeper(spool: _Spool, lanes: list[_Lane], make_durable: Callable[[], None]) -> Sweeper:
    return Sweeper(cast("Any", {"spool": spool}), lambda: cast("Any", lanes), make_durable=make_durable)


async def test_cursors_are_durable_before_a_segment_that_they_passed_is_removed() -> None:
    done: list[str] = []
    spool, lane = _Spool(done), _Lane(past=True)
    await _sweeper(spool, [lane], lambda: done.append("durable")).sweep()
    assert done == ["durable", "removed s"]
    assert lane.forgotten == ["s"]


async def test_a_disk_that_cannot_make_them_durable_keeps_the_segment_until_it_can() -> None:
    done: list[str] = []
    works: list[bool] = []

    def make_durable() -> None:
        if not works:
            raise OSError(5, "Input/output error")

    sweeper = _sweeper(spool := _Spool(done), [_Lane(past=True)], make_durable)
    await sweeper.sweep()
    await sweeper.sweep()
    assert (done, len(spool.segments)) == ([], 1)
    works.append(True)
    await sweeper.sweep()
    assert done == ["removed s"]


async def test_a_lane_that_comes_while_the_disk_works_keeps_what_it_has_not_read() -> None:
    done: list[str] = []
    lanes = [_Lane(past=True)]
    await _sweeper(_Spool(done), lanes, lambda: lanes.append(_Lane(past=False))).sweep()
    assert done == []


async def test_nothing_is_fsynced_while_nothing_can_go_nor_twice_for_a_segment_that_stays() -> None:
    done: list[str] = []
    spool, lane = _Spool(done), _Lane(past=False)
    sweeper = _sweeper(spool, [lane], lambda: done.append("durable"))
    await sweeper.sweep()
    assert done == []
    lane.past = True
    spool.sweep = lambda past: [each.id for each in spool.segments if past(each)][:0]  # type: ignore[method-assign]
    await sweeper.sweep()
    await sweeper.sweep()
    assert done == ["durable"], "the newest segment stays while there is room in it"


def test_what_was_committed_is_in_the_file_that_is_made_durable(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    before = (tmp_path / "state.db-wal").read_bytes()
    store.commit_cursors({"lane": [CursorRow(stream="s", position=7, mark_at=0, mark=b"")]})
    assert (tmp_path / "state.db-wal").read_bytes() != before
    store.make_durable()
    store.close()
    assert not (tmp_path / "state.db-wal").exists()
    store.make_durable()
