"""What every registered source promises: walks the registry, so a new type is tested by being registered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agent.config.load import load_with_warnings
from agent.config.model import SourceConfig
from agent.sources import TYPES, build
from agent.sources.base import Surroundings
from agent.state.store import Store
from agent.stats import AgentStats, SourceStats
from tests.support.processes import write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

NEEDS: dict[str, dict[str, Any]] = {"file": {"include": ["/nowhere/*.log"]}, "http": {"listen": "127.0.0.1:0"}}


@pytest.fixture(params=sorted(TYPES))
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    kind = str(request.param)
    path = write_config(
        tmp_path / "config.yaml",
        sources=[{"name": "s", "type": kind} | NEEDS.get(kind, {})],
        destinations=[{"name": "d", "destination_type": "file", "location": "file:///nowhere/x"}],
    )
    loaded = load_with_warnings(str(path))
    assert loaded.config is not None
    assert not loaded.problems
    return loaded.config.sources[0]


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    store = Store(tmp_path / "state.db")
    yield Surroundings(
        agent_id="a",
        members={},
        store=store,
        state_dir=tmp_path / "state",
        stats=SourceStats(source="s"),
        one_shot=True,
    )
    store.close()


def test_the_registry_and_the_model_know_the_same_types() -> None:
    import msgspec.inspect as mi

    union = mi.type_info(SourceConfig)
    assert isinstance(union, mi.UnionType)
    assert {str(t.tag) for t in union.types if isinstance(t, mi.StructType)} == set(TYPES)


def test_building_touches_nothing(config: Any, around: Surroundings) -> None:
    source = build(config, around)
    assert source.lines.name == "s"
    assert not around.state_dir.exists()


async def test_started_and_stopped_it_leaves_nothing_running(config: Any, around: Surroundings) -> None:
    stats = AgentStats(agent_id="a", version="0", started_at=0.0)
    threads = threading.active_count()
    for _ in range(3):
        source = build(config, around)
        async with anyio.create_task_group() as group:
            with anyio.fail_after(60):
                await group.start(source.run, stats)
            assert source.lines.scanned.is_set()
            assert source.sweep(lambda _stream: True) == []
            group.cancel_scope.cancel()
    assert threading.active_count() <= threads + 1  # an idle worker of the event loop
    assert stats.state_error is None
