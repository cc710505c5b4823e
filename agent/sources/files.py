"""The source type ``file``: local log files, where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from agent.sources.file import FileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskStatus

    from agent.config.model import FileSourceConfig
    from agent.sources.base import Surroundings
    from agent.stats import AgentStats
    from agent.streams.stream import Stream


class Files:
    """The files are the streams; there is nothing else to do than to follow them."""

    def __init__(self, config: FileSourceConfig, around: Surroundings) -> None:
        """Prepare; looks at no file yet."""
        self.lines = FileSource(
            config,
            agent_id=around.agent_id,
            members=dict(around.members),
            store=around.store,
            stats=around.stats,
            never=around.never,
            one_shot=around.one_shot,
            paths=around.paths,
            holds=around.holds,
            pool=around.pool,
        )

    async def run(self, agent: AgentStats, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the files until cancelled."""
        await self.lines.run(agent, task_status=task_status)

    def sweep(self, past: Callable[[Stream], bool]) -> list[str]:  # noqa: ARG002 # the contract's name
        """Remove nothing: the files are not ours."""
        return []
