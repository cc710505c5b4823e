"""What was done when: to read around a finding, and to tell which duplicates have a cause."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AROUND_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something after which a destination may get again what it got between ``start`` and ``end`` (unix seconds)."""

    what: str
    start: float
    end: float
    destination: str | None
    """None: all of them."""


class Journal:
    """Actions in order of time; also written to a file as they happen."""

    def __init__(self, path: Path) -> None:
        """Begin the file at ``path``."""
        self.did: Counter[str] = Counter()
        self.causes: list[Cause] = []
        self.findings: list[str] = []
        """What was wrong already during the run."""
        self._entries: list[tuple[float, str]] = []
        self._file = path.open("w", buffering=1)

    def note(self, text: str) -> None:
        """Write an action down."""
        now = time.time()
        self._entries.append((now, text))
        self._file.write(f"{now:.3f} {text}\n")

    def count(self, kind: str) -> None:
        """Count an action of ``kind`` for the summary."""
        self.did[kind] += 1

    def cause(self, what: str, start: float, destination: str | None = None) -> None:
        """Note what began at ``start`` and ends now as a possible cause of duplicates."""
        self.causes.append(Cause(what=what, start=start, end=time.time(), destination=destination))

    def finding(self, text: str) -> None:
        """Note what is wrong."""
        self.note(f"FINDING {text}")
        self.findings.append(text)

    def around(self, start: float, end: float) -> list[str]:
        """Return what was done from a little before ``start`` to a little after ``end``."""
        first, last = start - AROUND_SECONDS, end + AROUND_SECONDS
        return [f"{at:.3f} {text}" for at, text in self._entries if first <= at <= last]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
