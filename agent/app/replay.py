"""Sending rejects again: each to the destination of its name, or all to one; all destinations side by side."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from agent.app.resend import Resend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config.model import Config, DestinationConfig
    from agent.lane.rejects.reader import Found, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one destination's rejects; ``left`` are in rejects as they were."""

    destination: str
    accepted: int = 0
    refused: int = 0
    left: int = 0
    error: str | None = None
    """Why some are left."""


async def replay(
    config: Config, found: Iterable[Found], *, to: str | None = None, patience_seconds: float, stop: anyio.Event
) -> list[Result]:
    """Send the rejects ``found`` again, each to the destination of its name, or all of them ``to`` another one."""
    keys: dict[str, list[Key]] = defaultdict(list)
    for each in found:
        if each.reject:
            keys[to or each.reject.destination].append(each.key)
    known = {destination.name: destination for destination in config.destinations}
    results: list[Result] = []

    async def one(name: str) -> None:
        results.append(await _one(known.get(name), name, keys[name], patience_seconds=patience_seconds, stop=stop))

    async with anyio.create_task_group() as group:
        for name in keys:
            group.start_soon(one, name)
    return sorted(results, key=lambda result: result.destination)


async def _one(
    config: DestinationConfig | None, name: str, keys: list[Key], *, patience_seconds: float, stop: anyio.Event
) -> Result:
    if config is None or not config.enabled:
        nowhere = "no destination of this name is configured; --to names another one"
        reason = "the destination is not enabled" if config else nowhere
        return Result(destination=name, left=len(keys), error=reason)
    try:
        running = Resend(config, keys, stop=stop)
    except ValueError as error:
        return Result(destination=name, left=len(keys), error=str(error))
    await running.run(patience_seconds=patience_seconds)
    left = len(keys) - running.accepted - running.refused
    why = (running.stats.last_error or "stopped") if left else None
    return Result(destination=name, accepted=running.accepted, refused=running.refused, left=left, error=why)
