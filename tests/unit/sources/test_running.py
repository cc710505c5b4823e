"""The source as a task: every doorbell, one-shot runs, several lanes, a failing state."""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING

import anyio
import pytest
import structlog

from agent.sources.feed import Feed
from agent.state.store import Store
from agent.stats import AgentStats
from tests.support.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from agent.state.records import CursorRow

pytestmark = pytest.mark.anyio

PATIENCE = 60


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def agent_stats() -> AgentStats:
    return AgentStats(agent_id="a", version="0", started_at=0.0)


class Running:
    """A follower whose source runs as the agent runs it."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self.agent = agent_stats()

    async def expect(self, *wanted: str) -> None:
        """Wait until exactly these texts came next."""
        found: list[str] = []
        with anyio.fail_after(PATIENCE):
            while len(found) < len(wanted):
                block = await self.follower.feed.next()
                assert block is not None
                found += [json.loads(body)["event"]["message"] for body in block.bodies]
        assert found == list(wanted)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "logs"


@pytest.mark.parametrize("watch", ["inotify", "watchfiles", "poll"])
async def test_every_doorbell_delivers_through_growth_rotation_and_new_files(logs: Path, watch: str) -> None:
    append(logs / "a.log", "one\n")
    interval = 0.05 if watch == "poll" else 3600  # whoever has a doorbell is not rescued by the poll
    follower = Follower(logs.parent / "state", logs / "**" / "*.log", watch=watch, poll_interval=interval)
    running = Running(follower)
    async with anyio.create_task_group() as group:
        await group.start(follower.source.run, running.agent)
        follower.feed.begin()
        await running.expect("one")
        append(logs / "a.log", "two\n")
        await running.expect("two")
        (logs / "a.log").rename(logs / "a.log.1")
        append(logs / "a.log", "three\n")
        await running.expect("three")
        append(logs / "b.log", "four\n")
        await running.expect("four")
        (logs / "new").mkdir()
        append(logs / "new" / "c.log", "five\n")
        await running.expect("five")
        append(logs / "new" / "c.log", "six\n")
        await running.expect("six")
        group.cancel_scope.cancel()
    assert running.agent.state_errors == 0
    follower.close()


async def test_a_one_shot_run_ends_when_everything_was_read(logs: Path) -> None:
    append(logs / "a.log", "one\ntw")
    append(logs / "a.log.1", "zero\n")
    follower = Follower(logs.parent / "state", logs / "*.log", one_shot=True)
    texts: list[str] = []
    async with anyio.create_task_group() as group:
        await group.start(follower.source.run, agent_stats())
        follower.feed.begin()
        with anyio.fail_after(PATIENCE):
            while (block := await follower.feed.next()) is not None:
                texts += [json.loads(body)["event"]["message"] for body in block.bodies]
        group.cancel_scope.cancel()
    assert texts == ["zero", "one", "tw"]
    follower.close()


async def test_a_lane_that_runs_already_reads_the_backlog_of_a_source_that_is_added_without_a_new_line(
    logs: Path,
) -> None:
    for name in "abc":
        append(logs / f"{name}.log", "one\n")
    follower = Follower(logs.parent / "state", logs / "*.log")
    texts: list[str] = []

    async def read() -> None:
        while len(texts) < 3 and (block := await follower.feed.next()):
            texts.extend(json.loads(body)["event"]["message"] for body in block.bodies)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            async with anyio.create_task_group() as reading:
                reading.start_soon(read)
                await anyio.lowlevel.checkpoint()
                await group.start(follower.source.run, agent_stats())
            group.cancel_scope.cancel()
    assert texts == ["one"] * 3
    follower.close()


class Full(Store):
    """A state on a disk that is full while ``full`` is set."""

    full = True

    def set_started(self, lane: str, source: str, skipped: Iterable[CursorRow] = ()) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().set_started(lane, source, skipped)


def test_a_lane_that_cannot_note_its_start_skips_only_what_was_there_when_it_first_tried(logs: Path) -> None:
    append(logs / "old.log", "skipped\n")
    state = logs.parent / "state"
    follower = Follower(state, logs / "*.log", start_at="end")
    store = Full(state / "state.db")
    feed = Feed("late", store=store)
    feed.attach(follower.source)
    follower.look()
    with pytest.raises(sqlite3.OperationalError):
        feed.begin()
    append(logs / "old.log", "one\n")
    append(logs / "new.log", "two\n")
    follower.look()
    with pytest.raises(sqlite3.OperationalError):
        feed.begin()
    store.full = False
    feed.begin()
    texts = []
    while block := feed._take():
        texts += [json.loads(body)["event"]["message"] for body in block.bodies]
    assert sorted(texts) == ["one", "two"]
    assert [c.position for c in store.cursors("late")] == [len("skipped\n")], "what was left out is on disk, too"
    store.close()
    feed.close()
    follower.close()


async def test_two_lanes_read_the_same_lines_with_the_same_ids_and_they_are_counted_once(logs: Path) -> None:
    append(logs / "a.log", "".join(f"{n}\n" for n in range(1000)))
    follower = Follower(logs.parent / "state", logs / "*.log")
    other = Feed("other", store=follower.store)
    other.attach(follower.source)
    async with anyio.create_task_group() as group:
        await group.start(follower.source.run, agent_stats())
        with anyio.fail_after(PATIENCE):
            blocks = []
            for feed in (follower.feed, other):
                feed.begin()
                blocks.append(await feed.next())
        group.cancel_scope.cancel()
    assert blocks[0] is blocks[1]
    assert follower.stats.events == 1000
    other.close()
    follower.close()


def test_a_loss_is_said_for_every_destination_that_has_it_whichever_finds_it_first(logs: Path) -> None:
    append(logs / "a.log", "one\ntwo\n")
    follower = Follower(logs.parent / "state", logs / "*.log")
    other = Feed("other", store=follower.store, now=follower.clock)
    other.attach(follower.source)
    follower.look()
    other.begin()
    (logs / "a.log").unlink()
    follower.look()
    with structlog.testing.capture_logs() as said:
        follower.later()
        other._take()
        follower.later()
        other._take()
    lost = [entry for entry in said if entry["event"] == "bytes_lost"]
    assert [(e["destination"], e["first_byte"], e["end_byte"]) for e in lost] == [("lane", 0, 8), ("other", 0, 8)]
    other.close()
    follower.close()


def test_how_far_a_lane_is_behind_follows_what_is_committed(logs: Path) -> None:
    append(logs / "a.log", "one\n")
    follower = Follower(logs.parent / "state", logs / "*.log")
    follower.look()
    missing, since = follower.feed.behind()
    assert missing == 4
    assert since is not None
    follower.read()
    assert follower.feed.behind()[0] == 4
    follower.commit()
    assert follower.feed.behind() == (0, None)
    append(logs / "a.log", "half")
    follower.poll()
    assert follower.feed.behind()[0] == 4
    follower.close()


async def test_pain_15_while_the_state_cannot_be_written_nothing_new_is_sent_and_it_is_said(logs: Path) -> None:
    append(logs / "a.log", "one\n")
    follower = Follower(logs.parent / "state", logs / "*.log", watch="poll", poll_interval=0.05)
    running = Running(follower)
    with sqlite3.connect(follower.state / "state.db", isolation_level=None) as blocker:
        follower.store._db.execute("PRAGMA busy_timeout=1")
        blocker.execute("BEGIN IMMEDIATE")
        async with anyio.create_task_group() as group:
            await group.start(follower.source.run, running.agent)
            assert running.agent.state_errors >= 1
            assert "locked" in (running.agent.state_error or "")
            blocker.execute("ROLLBACK")
            follower.feed.begin()
            await running.expect("one")
            group.cancel_scope.cancel()
    blocker.close()
    assert follower.store.streams("logs")
    follower.close()


def test_pain_11_idle_files_are_closed_beyond_a_bound(logs: Path) -> None:
    for number in range(300):
        append(logs / f"{number}.log", "x\n")
    follower = Follower(logs.parent / "state", logs / "*.log")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count of descriptors
    assert len(follower.poll()) == 300
    assert len(os.listdir("/proc/self/fd")) - before <= 256 + 1  # noqa: PTH208
    append(logs / "0.log", "y\n")
    assert follower.poll() == ["y"]
    follower.close()
