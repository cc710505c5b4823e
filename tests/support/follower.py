"""A source and one lane's feed over real files, driven step by step: look, read, commit, restart, let time pass."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.config.model import FileSourceConfig
from agent.sources.feed import Feed
from agent.sources.file import FileSource
from agent.state.store import Store
from agent.stats import SourceStats
from agent.streams.hold import Holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from agent.streams.stream import Stream


class Clock:
    """The system's time, which tests may push on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Received:
    """What a follower delivered: (unique_id, event) in order, over all its restarts."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        """The text of each event."""
        return [event.get("message", event.get("raw")) for _id, event in self.events]

    @property
    def ids(self) -> list[str]:
        """The id of each event."""
        return [unique_id for unique_id, _event in self.events]


class Follower:
    """Reads ``include`` as plain text and remembers what it got. ``restart`` keeps the state, ``crash`` what was
    committed of it.
    """

    def __init__(self, state: Path, *include: object, **config: Any) -> None:
        """Open the state; looks at no file yet."""
        self.state = state
        self.clock: Clock = config.pop("clock", None) or Clock()
        self.lane = config.pop("lane", "lane")
        self.one_shot = config.pop("one_shot", False)
        self.visible: Callable[[str], int] | None = config.pop("visible", None)
        self.hold_bytes: int = config.pop("hold_bytes", 0)
        self.received: Received = config.pop("received", None) or Received()
        self.config = FileSourceConfig(
            **{"name": "logs", "format": "text", "include": [str(path) for path in include], **config}
        )
        self.stats = SourceStats(source=self.config.name)
        self._open()

    def _open(self) -> None:
        self.store = Store(self.state / "state.db")
        self.source = FileSource(
            self.config,
            agent_id=self.store.agent_id(),
            members={},
            store=self.store,
            stats=self.stats,
            one_shot=self.one_shot,
            holds=Holds(self.state / "holds", max_bytes=self.hold_bytes) if self.hold_bytes else None,
            visible=self.visible,
            now=self.clock,
        )
        self.feed = Feed(self.lane, store=self.store, one_shot=self.one_shot, now=self.clock)
        self.feed.attach(self.source)
        self._moved: dict[str, int] = {}
        self._begun = False

    def look(self) -> None:
        """Look at every folder and file, as each poll does."""
        for folder in self.source._patterns.folders():
            self.source._list(folder)
        self.source.catalog.resolve(self.source.catalog.register.families())
        self.source._tick()
        if not self._begun:
            self._begun = True
            self.source.scanned.set()
            self.feed.begin()

    def read(self, blocks: int = 1_000_000) -> list[str]:
        """Read up to ``blocks`` blocks; return the texts that are new."""
        before = len(self.received.events)
        while blocks and (block := self.feed._take()) is not None:
            blocks -= 1
            for body in block.bodies:
                event = json.loads(body)
                self.received.events.append((event["unique_id"], event["event"]))
            self._moved[block.stream] = block.end
        return self.received.messages[before:]

    def commit(self) -> None:
        """Settle everything that was read, as the committer does."""
        moved, self._moved = self._moved, {}
        if moved:
            rows = self.feed.rows(moved)
            self.store.commit_cursors({self.lane: rows}, [stream.row() for stream in self.feed.streams(moved)])
            self.feed.mark_settled(moved)
        for stream in self.source.catalog.register.unplaced(self.clock()):
            if self.feed.is_past(stream):
                self.source.settled_everywhere(stream)

    def poll(self) -> list[str]:
        """Look, read everything, commit; return the texts that are new."""
        self.look()
        texts = self.read()
        self.commit()
        return texts

    def later(self, seconds: float = 120.0) -> list[str]:
        """Let time pass, then poll."""
        self.clock.ahead += seconds
        return self.poll()

    def close(self) -> None:
        """Stop, with only what was committed on disk."""
        self.feed.close()
        self.source.catalog.close()
        self.store.close()

    def stop(self) -> None:
        """Stop in order: everything read is committed."""
        self.commit()
        self.close()

    def start(self) -> None:
        """Start again on the same state."""
        self._open()

    def restart(self) -> None:
        """Stop in order and start again."""
        self.stop()
        self.start()

    def crash(self) -> None:
        """Die without a commit and start again."""
        self.close()
        self.start()

    def streams(self) -> Iterable[Stream]:
        """Every stream the source knows."""
        return self.source.catalog.streams.values()
