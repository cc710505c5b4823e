"""Cursors of renamed and deleted destinations."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio
import pytest

from agent.app.inherit import forget, inherit
from agent.state.records import CursorRow
from agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state.db")
    for position, lane in enumerate(("a", "b", "c"), start=1):
        made.commit_cursors({lane: [CursorRow(stream="s", position=position, mark_at=0, mark=b"")]})
        made.set_started(lane, "app")
    yield made
    made.close()


def position(store: Store, lane: str) -> list[int]:
    return [row.position for row in store.cursors(lane)]


async def test_names_are_exchanged_and_chained_at_once_and_old_ones_keep_theirs(store: Store) -> None:
    stop = anyio.Event()
    assert await inherit(store, {"a": "b", "b": "a", "c": "d"}, stop=stop, trouble=_unexpected)
    assert [position(store, lane) for lane in "abcd"] == [[2], [1], [3], [3]]
    assert [store.has_started(lane, "app") for lane in "abcd"] == [True, True, True, True]


async def test_a_name_that_had_cursors_long_ago_gets_those_of_the_lane_that_took_it(store: Store) -> None:
    assert await inherit(store, {"a": "c"}, stop=anyio.Event(), trouble=_unexpected)
    assert position(store, "c") == [1]


async def test_what_is_deleted_is_forgotten_and_nothing_else(store: Store) -> None:
    assert await forget(store, ("b",), stop=anyio.Event(), trouble=_unexpected)
    assert [position(store, lane) for lane in "abc"] == [[1], [], [3]]
    assert not store.has_started("b", "app")


async def test_while_the_state_cannot_be_written_it_is_tried_again(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 1")
    troubles: list[str] = []

    def trouble(error: sqlite3.Error) -> None:
        troubles.append(str(error))
        other.rollback()

    assert await inherit(store, {"a": "z"}, stop=anyio.Event(), trouble=trouble)
    other.close()
    assert troubles == ["database is locked"]
    assert position(store, "z") == [1]


async def test_a_stop_ends_the_trying(store: Store, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "state.db")
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 1")
    stop = anyio.Event()
    stop.set()
    assert not await inherit(store, {"a": "z"}, stop=stop, trouble=lambda _: None)
    other.close()
    assert position(store, "a") == [1]


def _unexpected(error: sqlite3.Error) -> None:
    raise AssertionError(error)
