"""What every source type offers the agent, and what it is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from anyio.abc import TaskStatus

    from agent.sources.file import FileSource
    from agent.state.store import Store
    from agent.stats import AgentStats, SourceStats
    from agent.streams.handles import Pool
    from agent.streams.hold import Holds
    from agent.streams.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a source gets besides its configuration."""

    agent_id: str
    members: Mapping[str, object]
    """Common to all events of this agent."""
    store: Store
    state_dir: Path
    stats: SourceStats
    never: Sequence[str] = ()
    """The agent's own files, which no source may read."""
    one_shot: bool = False
    """Take in what there is now, then end; nobody is listened to."""
    paths: Sequence[str] | None = None
    """Only these files, whatever the globs say."""
    holds: Holds | None = None
    pool: Pool | None = None
    """The bound on open files, shared by all sources."""


class Source(Protocol):
    """One configured input. Building one does no I/O."""

    @property
    def lines(self) -> FileSource:
        """What lanes read: the streams, wherever their bytes come from."""
        ...

    async def run(self, agent: AgentStats, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take in until cancelled. Reports started once everything that was there before was looked at."""
        ...

    def sweep(self, past: Callable[[Stream], bool]) -> list[str]:
        """Remove what is kept only for lanes and every lane is ``past``; return the ids of streams that are gone."""
        ...


Build = Any
"""``(configuration, surroundings) → Source``; each takes the configuration of its own type."""
