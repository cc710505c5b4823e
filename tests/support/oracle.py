"""Judges what a receiver got against what was written: nothing missing, nothing foreign, ids keep their meaning."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Line = tuple[str, int]
"""Which writer, which number."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong, if anything."""

    missing: list[Line] = field(default_factory=list)
    foreign: list[Line] = field(default_factory=list)
    renamed: list[Line] = field(default_factory=list)
    """Received again under another id."""
    shared: list[str] = field(default_factory=list)
    """Ids that two different lines bear."""
    twice: int = 0
    """Received again with the id of the first time."""

    def __bool__(self) -> bool:
        """Whether everything is right; duplicates with the same id are."""
        return not (self.missing or self.foreign or self.renamed or self.shared)

    def __str__(self) -> str:
        """Give counts and the first few of each."""
        parts = [
            f"{name}: {len(found)} {sorted(found)[:5]}"
            for name in ("missing", "foreign", "renamed", "shared")
            if (found := getattr(self, name))
        ]
        return "; ".join([*parts, f"twice: {self.twice}"])


def judge(written: Iterable[Line], events: Iterable[dict[str, Any]], *, distinct_files: bool = True) -> Verdict:
    """Compare the lines that were written with the envelopes that arrived."""
    truth = set(written)
    ids: dict[Line, set[str]] = defaultdict(set)
    lines: dict[str, set[Line]] = defaultdict(set)
    count = 0
    for event in events:
        line = (event["event"]["w"], event["event"]["n"])
        ids[line].add(event["unique_id"])
        lines[event["unique_id"]].add(line)
        count += 1
    return Verdict(
        missing=list(truth - ids.keys()),
        foreign=list(ids.keys() - truth),
        renamed=[line for line, found in ids.items() if len(found) > 1] if distinct_files else [],
        shared=[identity for identity, found in lines.items() if len(found) > 1],
        twice=count - len(ids),
    )
