"""The agent's own files, which no source may read: shipping what shipping wrote would never end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.destinations.location import parse
from agent.streams.family import family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.model import Config


def own_files(config: Config) -> Iterator[str]:
    """Yield the live paths of the state directory and of every file destination."""
    yield _live(config.agent.state_dir)
    for destination in config.destinations:
        if destination.destination_type == "file":
            try:
                yield _live(parse(destination.location).path)
            except ValueError:
                continue


def _live(path: str) -> str:
    return family(os.path.abspath(path))
