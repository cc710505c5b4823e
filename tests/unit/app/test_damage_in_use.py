"""A state.db that is damaged while the agent runs: said once, shown by readiness, and delivery goes on."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
import structlog

from agent.app.commit import Committer
from agent.observe.health import readiness
from agent.state.records import CursorRow
from agent.state.store import Store
from agent.stats import AgentStats

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


class _Lane:
    """A lane whose one stream is settled a little further at every look."""

    lane = "d"

    def __init__(self) -> None:
        self.position = 0
        self.committed: dict[str, int] = {}

    def take_dirty(self) -> dict[str, int]:
        self.position += 1
        return {"s": self.position}

    def rows(self, moved: dict[str, int]) -> list[CursorRow]:
        return [CursorRow(stream=s, position=at, mark_at=0, mark=b"") for s, at in moved.items()]

    def streams(self, _moved: Any) -> list[Any]:
        return []

    def mark_settled(self, moved: dict[str, int]) -> None:
        self.committed.update(moved)


async def _until(condition: Any) -> None:
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110 # what is waited for has no event
            await anyio.sleep(0.02)


@pytest.mark.parametrize("where", ["header", "pages"])
async def test_pain_14_a_state_damaged_in_use_is_said_once_and_delivery_goes_on(where: str, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    stats = AgentStats(agent_id="a", version="0", started_at=0, ready=True)
    with closing(Store(path)) as store, structlog.testing.capture_logs() as logged:
        store.commit_cursors(
            {"old": [CursorRow(stream=f"{n:032x}", position=n, mark_at=0, mark=bytes(16)) for n in range(2000)]}
        )
        assert store.checkpoint() is None
        committer, lane = Committer(store, stats, checkpoint_seconds=0.1), _Lane()
        committer.add(cast("Any", lane), lane)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(committer.run)
            await _until(lambda: lane.committed)
            assert stats.state_error is None
            with path.open("r+b") as file:
                file.seek(0 if where == "header" else 4096 * 8)
                file.write(b"\xff" * (100 if where == "header" else 4096 * 8))
            await _until(lambda: stats.state_error)
            seen = lane.position
            await _until(lambda: lane.position > seen + 3)
            tasks.cancel_scope.cancel()
    assert [entry["event"] for entry in logged if entry["log_level"] == "error"] == ["state_damaged_in_use"]
    ready = readiness(stats, now=time.time(), stalled_after=300)
    assert "state.db is damaged" in ready.reasons[0]
