"""What each destination has: read piece by piece from what it stored, with what was received twice."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Line = tuple[str, int]
"""Which writer, which number."""
Event = tuple[float, str, Line]
"""When it was received (unix seconds), its id, its line."""


class Tail:
    """Whole lines of files that grow, are renamed, and are each read once."""

    def __init__(self, folder: Path, pattern: str) -> None:
        """Read the files of ``folder`` that match ``pattern``."""
        self._folder = folder
        self._pattern = pattern
        self._offsets: dict[int, int] = {}

    def new(self) -> Iterator[bytes]:
        """Return the lines that came since the last call."""
        for path in sorted(self._folder.glob(self._pattern)):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                inode = os.fstat(file.fileno()).st_ino
                file.seek(self._offsets.get(inode, 0))
                data = file.read()
                whole = data.rfind(b"\n") + 1
                self._offsets[inode] = self._offsets.get(inode, 0) + whole
            yield from data[:whole].splitlines()


class Seen:
    """One destination's events."""

    def __init__(
        self, name: str, events: Callable[[], Iterator[Event]], rejects: Tail, *, by_read_time: bool = False
    ) -> None:
        """``events`` returns what is new; ``by_read_time``: with the time at which the agent read it."""
        self.name = name
        self.by_read_time = by_read_time
        self.first: dict[Line, tuple[float, str]] = {}
        """Line → when it was received first, and under which id."""
        self.again: list[tuple[Line, float, float]] = []
        """Received again under the same id: line, the first time, this time."""
        self.renamed: list[tuple[Line, str, str, float, float]] = []
        """Received again under another id: line, first id, this id, the first time, this time."""
        self.rejected: set[Line] = set()
        self._events = events
        self._rejects = rejects

    def look(self) -> None:
        """Take in what is new."""
        for at, identity, line in self._events():
            before = self.first.get(line)
            if before is None:
                self.first[line] = (at, identity)
            elif before[1] != identity:
                self.renamed.append((line, before[1], identity, before[0], at))
            else:
                self.again.append((line, before[0], at))
        for raw in self._rejects.new():
            event = json.loads(raw)["event"]["event"]
            self.rejected.add((event["w"], event["n"]))

    def has(self, line: Line) -> bool:
        """Tell whether a line arrived, or is kept in the rejects."""
        return line in self.first or line in self.rejected


def stored(tail: Tail) -> Iterator[Event]:
    """Read what a receiver's process stored."""
    for raw in tail.new():
        at, identity, writer, number = raw.decode().split(" ")
        yield float(at), identity, (writer, int(number))


def archived(tail: Tail) -> Iterator[Event]:
    """Read what a file destination wrote; the time is when the agent read the line, the id's is not known."""
    for raw in tail.new():
        envelope = json.loads(raw)
        event = envelope["event"]
        when = datetime.fromisoformat(envelope["create_time"]).timestamp()
        yield when, envelope["unique_id"], (event["w"], event["n"])
