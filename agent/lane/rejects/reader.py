"""Finding rejects: every line of every file, and which of them are meant."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from agent.lane.rejects import folders
from agent.lane.rejects.record import decode, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from agent.lane.rejects.record import Reject


class Key(NamedTuple):
    """Which line of which file; it stays valid while others append, take out and replace."""

    path: Path
    digest: bytes


class Found(NamedTuple):
    """A line; ``reject`` is None when it is damaged."""

    key: Key
    reject: Reject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which rejects are meant: those that meet every condition that is set."""

    destination: str | None = None
    reason: str | None = None
    """Part of the drop counter's name or of the reason, in any case, or the whole status."""
    since: datetime | None = None
    """Refused at or after this time."""
    until: datetime | None = None
    """Refused before this time."""
    unique_id: str | None = None

    def matches(self, reject: Reject) -> bool:
        """Tell whether ``reject`` is meant."""
        return (
            (self.destination is None or reject.destination == self.destination)
            and (self.reason is None or _has_reason(reject, self.reason.lower()))
            and (self.since is None or reject.time >= timestamp(self.since))
            and (self.until is None or reject.time < timestamp(self.until))
            and (self.unique_id is None or reject.unique_id == self.unique_id)
        )


def _has_reason(reject: Reject, text: str) -> bool:
    return text in reject.counter.lower() or text in reject.reason.lower() or text == str(reject.status)


def digest(line: bytes) -> bytes:
    """Return what a line is known by."""
    return blake2b(line, digest_size=16).digest()


def read(path: Path) -> Iterator[Found]:
    """Yield every whole line of a file; a torn last one was never settled. A file that has gone has none."""
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    with lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield Found(Key(path, digest(line)), decode(line))


def read_files(paths: Iterable[Path]) -> Iterator[Found]:
    """Yield every line of ``paths``, oldest file first. Raises ``OSError``."""
    for path in sorted(paths, key=lambda path: (path.name, path)):
        yield from read(path)


def read_all(state_dir: Path) -> Iterator[Found]:
    """Yield every line of every destination, oldest file first. Raises ``OSError``."""
    yield from read_files(folders.all_files(folders.root(state_dir)))
