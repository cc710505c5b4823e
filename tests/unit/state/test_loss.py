"""What is left when state.db is gone, damaged or out of reach."""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from agent.errors import StateError
from agent.state.lock import locked
from agent.state.records import CursorRow, StreamRow
from agent.state.schema import VERSION
from agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


def opened(folder: Path) -> Store:
    return Store(folder / "state.db", identity_file=folder / "identity.json")


def fill(folder: Path) -> str:
    """Leave a state with one stream, a cursor and a lane that has started; return the agent's id."""
    with closing(opened(folder)) as store:
        row = StreamRow(
            id="s",
            source="logs",
            family="/a",
            head=b"h",
            head_bytes=1,
            generation=0,
            path="/a",
            device=1,
            inode=2,
            size=3,
        )
        store.put_streams([row], durable=True)
        store.commit_cursors({"lane": [CursorRow(stream="s", position=3, mark_at=0, mark=b"")]})
        store.set_started("lane", "logs")
        return store.agent_id()


def said(logged: list[structlog.typing.EventDict], event: str) -> list[structlog.typing.EventDict]:
    return [entry for entry in logged if entry["event"] == event]


def test_a_first_start_is_no_loss(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert not store.lost
        assert not store.has_started("lane", "logs")
    assert [entry["event"] for entry in logged] == ["state_created"]


def test_an_ordinary_start_says_nothing(tmp_path: Path) -> None:
    fill(tmp_path)
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert not store.lost
    assert logged == []


def test_pain_14_a_missing_state_is_said_and_keeps_the_agents_id_and_what_has_started(tmp_path: Path) -> None:
    agent_id = fill(tmp_path)
    for path in tmp_path.glob("state.db*"):
        path.unlink()
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert store.lost
        assert store.agent_id() == agent_id  # so that what is sent again has the ids of the first time
        assert store.has_started("lane", "logs")  # so that start_at: end skips nothing that was never sent
        assert not store.has_started("lane", "another")
    (entry,) = said(logged, "state_lost")
    assert entry["log_level"] == "error"
    assert entry["same_ids"] is True
    assert "read from its beginning and sent again" in entry["consequence"]


def test_pain_14_an_emptied_state_is_a_lost_one(tmp_path: Path) -> None:
    agent_id = fill(tmp_path)
    os.truncate(tmp_path / "state.db", 0)
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert store.agent_id() == agent_id
    assert said(logged, "state_lost")


def test_pain_14_any_damaged_byte_and_any_length_is_the_whole_state_or_a_loss_that_is_said(tmp_path: Path) -> None:
    sound = tmp_path / "sound"
    sound.mkdir()
    agent_id = fill(sound)
    content = (sound / "state.db").read_bytes()
    damaged = [content[:at] for at in range(0, len(content), 1531)]
    damaged += [content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :] for at in range(0, len(content), 331)]
    damaged += [content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :] for at in range(100)]
    for number, data in enumerate(damaged):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copyfile(sound / "identity.json", folder / "identity.json")
        (folder / "state.db").write_bytes(data)
        with structlog.testing.capture_logs() as logged:
            try:
                store = opened(folder)
            except StateError:
                assert data[60:64] != VERSION.to_bytes(4)  # reads as a newer version: refused, nothing touched
                assert (folder / "state.db").read_bytes() == data
                continue
            with closing(store):
                assert store.agent_id() == agent_id or not store.lost
                assert store.lost == bool(said(logged, "state_lost"))
                assert store.lost == (store.cursors("lane") == []), number
                assert store.has_started("lane", "logs") or not store.lost
        shutil.rmtree(folder)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"agent_id": 7, "started": []}', b'{"agent_id": "a"}', b"\xff"])
def test_a_damaged_identity_is_made_anew_from_the_state(tmp_path: Path, damage: bytes) -> None:
    agent_id = fill(tmp_path)
    whole = (tmp_path / "identity.json").read_bytes()
    (tmp_path / "identity.json").write_bytes(damage)
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert store.agent_id() == agent_id
        assert not store.lost
    assert [entry["event"] for entry in logged] == ["identity_unreadable"]
    assert (tmp_path / "identity.json").read_bytes() == whole


def test_state_and_identity_both_damaged_is_a_loss_under_a_new_id(tmp_path: Path) -> None:
    agent_id = fill(tmp_path)
    for name in ("state.db", "identity.json"):
        (tmp_path / name).write_bytes(b"damaged")
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert store.agent_id() != agent_id
    assert said(logged, "state_lost")[0]["same_ids"] is False


def test_a_lane_that_is_gone_is_forgotten_in_the_identity_too(tmp_path: Path) -> None:
    fill(tmp_path)
    with closing(opened(tmp_path)) as store:
        store.drop_cursors("lane")
    assert json.loads((tmp_path / "identity.json").read_text())["started"] == []


# Out of reach: never taken for damage, nothing set aside, nothing begun anew


@contextmanager
def files_may_not_grow() -> Iterator[None]:
    """Have every write fail as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_pain_15_a_full_disk_keeps_the_agent_from_starting_and_the_state_as_it_is(tmp_path: Path) -> None:
    agent_id = fill(tmp_path)
    (tmp_path / "new").mkdir()
    with files_may_not_grow(), pytest.raises(StateError, match="check the permissions and the disk"):
        opened(tmp_path / "new")
    with files_may_not_grow(), pytest.raises(StateError, match="check the permissions and the disk"):
        opened(tmp_path)
    assert not list(tmp_path.glob("*damaged*"))
    with structlog.testing.capture_logs() as logged, closing(opened(tmp_path)) as store:
        assert (store.agent_id(), store.lost) == (agent_id, False)
        assert len(store.cursors("lane")) == 1
    assert logged == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user whom permissions bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_pain_15_a_read_only_directory_or_file_is_refused_with_what_to_do(folder: Path) -> None:
    agent_id = fill(folder)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    with as_nobody():
        with (
            pytest.raises(StateError, match=r"cannot be used as state directory.*set agent\.state_dir"),
            locked(folder),
        ):
            pytest.fail("locked")
        with pytest.raises(StateError, match="check the permissions and the disk"):
            opened(folder)
    folder.chmod(0o777)
    with as_nobody(), pytest.raises(StateError, match="check the permissions and the disk"):
        opened(folder)
    assert not list(folder.glob("*damaged*"))
    for path in folder.iterdir():
        path.chmod(0o644)
    with closing(opened(folder)) as store:
        assert (store.agent_id(), store.lost) == (agent_id, False)
