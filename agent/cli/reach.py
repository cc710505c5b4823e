"""What ``check --connect`` finds out: which destinations can be reached, those the API lists too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from agent.config.model import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Errors by the destination's name, None for one that can be reached; disabled ones are not tried."""

    destinations: dict[str, str | None] = field(default_factory=dict)
    control_plane: str | None = None
    """Why the API's list cannot be had; None also when none is wanted."""

    unusable: frozenset[str] = frozenset()
    """Names of the API's destinations that cannot be run as they are configured, whoever can be reached."""

    @property
    def failed(self) -> bool:
        """Whether anything could not be reached."""
        return self.control_plane is not None or any(self.destinations.values())


def reach(config: Config) -> Reached:
    """Ask for the API's list, where one is wanted, and connect to every enabled destination; sends no event."""
    return anyio.run(_reach, config)


async def _reach(config: Config) -> Reached:
    from agent.api.errors import ApiError
    from agent.app.remote_list import ask, wanted
    from agent.config.model import HeldPlace
    from agent.destinations.probe import probe

    trouble = None
    found: dict[str, str] = {}
    if wanted(config):
        try:
            config, unusable = await ask(config)
            found |= {each.name or each.id: each.problem for each in unusable}
        except ApiError as error:
            trouble = str(error)
    enabled = [each for each in config.destinations if each.enabled and not isinstance(each, HeldPlace)]
    errors: dict[int, str | None] = {}

    async def one(index: int) -> None:
        errors[index] = await probe(enabled[index])

    async with anyio.create_task_group() as group:
        for index in range(len(enabled)):
            group.start_soon(one, index)
    # A name that two have is the one's that runs, and the error of the other is worth more.
    tried = {each.name: errors[i] for i, each in enumerate(enabled)}
    return Reached(destinations={**tried, **found}, control_plane=trouble, unusable=frozenset(found))
