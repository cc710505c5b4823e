"""Which receiver is meant, and which destination of the configuration delivers to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.destinations.location import parse
from agent.errors import UsageError
from agent.reconcile.jsonl import Jsonl

if TYPE_CHECKING:
    from agent.config.model import Config, DestinationConfig
    from agent.reconcile.receiver import Receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A receiver that can be asked."""

    name: str
    destination: DestinationConfig | None

    def open(self) -> Receiver:
        """Begin to ask it; a file is read now. Raises ``AgentError``."""
        location = parse(self.destination.location) if self.destination else None
        return Jsonl(self.name, max_backups=location.max_backups if location else None)


def target(config: Config, *, against: str | None, destination: str | None) -> Target:
    """Return the receiver at ``against``, or where the destination called ``destination`` delivers to.

    Without a destination's name it is the one that delivers there, if there is one. Raises ``UsageError``.
    """
    named = _named(config, destination) if destination else None
    if against is None and named is None:
        raise UsageError("found neither --against nor --destination; allowed: one of them, or both")
    place = _place(against if against is not None else named.location if named else "")
    if named is None:
        named = next((d for d in config.destinations if _delivers_to(d, place)), None)
    return Target(name=place, destination=named)


def _named(config: Config, name: str) -> DestinationConfig:
    for each in config.destinations:
        if each.name == name:
            return each
    allowed = ", ".join(each.name for each in config.destinations)
    raise UsageError(f"--destination: found {name!r}; allowed: {allowed}")


def _place(text: str) -> str:
    try:
        return os.path.abspath(parse(text).path)  # noqa: PTH100 # links stay links
    except ValueError as error:
        raise UsageError(f"--against: found {error}; allowed: the file of a file destination") from error


def _delivers_to(destination: DestinationConfig, place: str) -> bool:
    try:
        return destination.destination_type == "file" and _place(destination.location) == place
    except UsageError:
        return False
