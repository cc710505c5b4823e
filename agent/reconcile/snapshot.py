"""What the state directory says, read beside a running agent and changed in nothing."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.host import hostname
from agent.errors import StateError
from agent.filters import AgentIdentity, EventFilter
from agent.lane.rejects.reader import read_all
from agent.reconcile.names import split
from agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.config.model import Config, DestinationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """What a destination refused for good."""

    offsets: Mapping[str, set[int]]
    """By stream."""
    names: frozenset[str]
    """Ids that programs gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state as it was before the receiver was asked: what is settled in it must have arrived."""

    agent_id: str
    store: Store
    """A copy in memory: what reading finds out is written there."""
    cursors: Mapping[str, int] | None
    """Stream → settled offset, of the destination; None when no destination is looked at."""
    lanes: tuple[str, ...]
    rejected: Rejected
    passes: EventFilter | None


@contextmanager
def snapshot(config: Config, destination: DestinationConfig | None) -> Iterator[Snapshot]:
    """Copy the state of the agent of ``config``. Raises ``StateError`` when there is none, or none that can be read."""
    directory = Path(config.agent.state_dir)
    database = directory / "state.db"
    if not database.exists():
        raise StateError(f"{database}: no such file; the ids of events are made from it, so start the agent once")
    store = Store(Path(":memory:"))
    try:
        try:
            store.adopt(database, cursors=True)
        except sqlite3.Error as error:
            raise StateError(f"{database}: cannot be read: {error}; run it as the agent's user or as root") from error
        agent_id = config.agent.id or store.agent_id()
        settled = None if destination is None else {c.stream: c.position for c in store.cursors(destination.name)}
        yield Snapshot(
            agent_id=agent_id,
            store=store,
            cursors=settled,
            lanes=tuple(store.lanes()),
            rejected=_rejected(directory, destination),
            passes=_filter(config, destination, agent_id),
        )
    finally:
        store.close()


def _filter(config: Config, destination: DestinationConfig | None, agent_id: str) -> EventFilter | None:
    if destination is None:
        return None
    identity = AgentIdentity(id=agent_id, type=config.agent.type, hostname=hostname(config))
    return EventFilter(destination, identity)


def _rejected(directory: Path, destination: DestinationConfig | None) -> Rejected:
    offsets: defaultdict[str, set[int]] = defaultdict(set)
    names: set[str] = set()
    try:
        for found in read_all(directory):
            if found.reject and (destination is None or found.reject.destination == destination.name):
                name = found.reject.unique_id
                names.add(name)
                if made := split(name):
                    offsets[made[0]].add(made[1])
    except OSError as error:
        raise StateError(f"{error.filename}: {error.strerror}; run it as the agent's user or as root") from error
    return Rejected(offsets=offsets, names=frozenset(names))
