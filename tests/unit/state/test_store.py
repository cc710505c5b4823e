"""What is remembered between two starts, through damage and upgrades."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import StateError
from agent.state.lock import locked
from agent.state.records import CopyRow, CursorRow, StreamRow
from agent.state.schema import VERSION
from agent.state.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ODD = os.fsdecode(b"/logs/\xff\n'\".log")


def stream(name: str = "s1", **changes: object) -> StreamRow:
    values = {
        "id": name,
        "source": "logs",
        "family": ODD,
        "head": b"\0head",
        "head_bytes": 5,
        "generation": 0,
        "path": ODD + ".1",
        "device": -5,
        "inode": (1 << 63) - 1,
        "size": 1 << 40,
    }
    return StreamRow(**(values | {"head": name.encode()} | changes))  # type: ignore[arg-type]


def filled(path: Path) -> Store:
    """Return a store with something in every table."""
    store = Store(path)
    store.agent_id()
    store.put_streams([stream("s1"), stream("s2")], durable=True)
    store.put_copy(
        CopyRow(source="logs", path=ODD, device=1, inode=2, size=3, mtime_ns=4, stream="s1", length=3, mark=b"m")
    )
    store.commit_cursors({"lane": [CursorRow(stream="s1", position=7, mark_at=5, mark=b"m")]})
    store.set_started("lane", "logs")
    return store


def test_everything_comes_back_after_a_restart_whatever_the_bytes_of_a_path(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = filled(path)
    agent_id = store.agent_id()
    copies = store.copies("logs")
    store.close()
    store = Store(path)
    assert store.set_aside is None
    assert store.agent_id() == agent_id
    assert sorted(store.streams("logs"), key=lambda row: row.id) == [stream("s1"), stream("s2")]
    assert store.streams("another") == []
    assert store.copies("logs") == copies
    assert copies[0].path == ODD
    assert store.cursors("lane") == [CursorRow(stream="s1", position=7, mark_at=5, mark=b"m")]
    assert store.lanes() == ["lane"]
    assert store.has_started("lane", "logs")
    assert not store.has_started("other", "logs")
    store.close()


def test_a_lane_that_is_gone_is_forgotten_and_no_other(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "state.db")) as store:
        store.commit_cursors({"other": [CursorRow(stream="s1", position=1, mark_at=0, mark=b"")]})
        store.drop_cursors("lane")
        assert store.lanes() == ["other"]
        assert not store.has_started("lane", "logs")


def test_cursors_of_several_lanes_move_together_or_not_at_all(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "state.db")) as store:
        good = CursorRow(stream="s1", position=9, mark_at=0, mark=b"")
        bad = CursorRow(stream="s1", position=1 << 70, mark_at=0, mark=b"")
        with pytest.raises(OverflowError):
            store.commit_cursors({"lane": [good], "other": [bad]})
        assert [row.position for row in store.cursors("lane")] == [7]
        store.commit_cursors({"lane": [good]}, [stream("s1", size=99)])
        assert [row.position for row in store.cursors("lane")] == [9]


@pytest.mark.parametrize("damage", [b"", b"not a database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_pain_14_a_file_that_is_no_database_is_set_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(damage)
    with structlog.testing.capture_logs() as logged, closing(Store(path)) as store:
        assert store.agent_id()
        if damage:
            assert store.set_aside is not None
            assert store.set_aside.read_bytes() == damage
            assert [entry["event"] for entry in logged] == ["state_damaged"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pain_14_damage_at_any_byte_never_keeps_the_agent_from_starting(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.db"
    filled(path).close()
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        size = data.draw(st.sampled_from([1, 16, 4096]))
        content[at : at + size] = os.urandom(min(size, len(content) - at))
    path.write_bytes(content)
    with structlog.testing.capture_logs():
        try:
            store = Store(path)
        except StateError:
            assert content[60:64] != VERSION.to_bytes(4)  # the damage happens to read as a newer version
            return
    try:
        store.agent_id()
        store.streams("logs")
        store.copies("logs")
        store.cursors("lane")
        store.put_streams([stream("s3")], durable=True)
    finally:
        store.close()


def test_pain_14_a_table_that_is_missing_and_a_value_of_another_type_are_damage(tmp_path: Path) -> None:
    for number, change in enumerate(
        ("DROP TABLE copies", "UPDATE streams SET inode = 'x'", "UPDATE cursors SET mark = 1")
    ):
        path = tmp_path / str(number)
        filled(path).close()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(change)
        with structlog.testing.capture_logs(), closing(Store(path)) as store:
            assert store.set_aside is not None
            assert store.cursors("lane") == []


def test_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    filled(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StateError, match="written by a newer version"):
        Store(path)
    assert sorted(p.name for p in tmp_path.iterdir() if "damaged" in p.name) == []


def test_pain_15_a_path_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened"):
        Store(tmp_path / "missing" / "state.db")


def test_another_states_streams_and_agent_id_are_taken_over_while_it_is_in_use(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "state #1?.db")) as live, closing(Store(tmp_path / "own.db")) as own:
        own.agent_id()
        own.adopt(live.path)
        assert own.agent_id() == live.agent_id()
        assert own.streams("logs") == live.streams("logs")
        assert own.copies("logs") == live.copies("logs")
        assert own.cursors("lane") == []
        own.adopt(live.path)
        live.set_started("still", "writable")


def test_the_write_ahead_log_is_moved_into_the_database(tmp_path: Path) -> None:
    with closing(filled(tmp_path / "state.db")) as store:
        before = (tmp_path / "state.db").stat().st_size
        store.put_streams([stream(f"more{n}") for n in range(200)], durable=False)
        store.checkpoint()
        assert (tmp_path / "state.db").stat().st_size > before


def test_a_second_agent_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    with locked(state):
        assert state.stat().st_mode & 0o777 == 0o700
        with pytest.raises(StateError, match=rf"in use by another agent \(pid {os.getpid()}\)"), locked(state):
            pytest.fail("locked twice")
    with locked(state):
        pass


def test_an_agent_that_is_killed_before_every_checkpoint_does_not_fill_the_disk(tmp_path: Path) -> None:
    sizes = []
    before = tmp_path / "0"
    before.mkdir()
    for number in range(1, 5):
        store = Store(before / "state.db")
        for size in range(400):
            store.put_streams([stream(f"s{n}", size=size) for n in range(100)], durable=False)
        sizes.append((before / "state.db-wal").stat().st_size)
        after = tmp_path / str(number)
        shutil.copytree(before, after)  # what a kill leaves; closing would clean up
        store.close()
        before = after
    assert sizes[0] > 4 << 20
    assert sizes[-1] <= sizes[0] + (1 << 20), sizes
    with closing(Store(before / "state.db")) as store:
        assert [row.size for row in store.streams("logs")] == [399] * 100
        store.put_streams([stream("s1", size=400)], durable=False)
        assert (before / "state.db-wal").stat().st_size <= 4 << 20


def test_a_lock_that_cannot_be_written_for_a_full_disk_is_refused_with_the_path(tmp_path: Path) -> None:
    state = tmp_path / "state"
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StateError, match=f"{state}: cannot be used as state directory"), locked(state):
            pytest.fail("locked")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_the_lock_of_a_process_that_died_is_gone_with_it(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from agent.state.lock import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r})):\n"
        "    os.write(1, b'x')\n"
        "    sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"x"
        with pytest.raises(StateError, match=f"pid {child.pid}"), locked(tmp_path):
            pytest.fail("locked twice")
    finally:
        child.kill()
        child.communicate()
    with locked(tmp_path):
        pass


def test_a_state_directory_that_is_a_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match=r"set agent\.state_dir"), locked(tmp_path / "state"):
        pytest.fail("locked a file")
