"""What a reconciliation found, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

COUNTS = (
    *("events", "arrived", "filtered", "rejected", "not_sent", "skipped", "unchecked", "missing"),
    *("duplicate", "foreign"),
)
"""Of each stream. ``events == arrived + filtered + rejected + not_sent + skipped + unchecked + missing``.

An unchecked event has an id that the receiver cannot be asked for: it may be there or not.
A duplicate is one arrival too many; a foreign event arrived with an id that no line has.
"""


@dataclass(slots=True)
class Range:
    """Neighbouring lines of a stream: the bytes ``[first, end)``, which hold ``events`` events."""

    first: int
    end: int
    events: int


@dataclass(slots=True, kw_only=True)
class StreamReport:
    """One stream: counts of events, and where those are that are neither arrived nor filtered."""

    source: str
    stream: str
    path: str
    """Where its bytes are."""
    cursor: int | None
    """Up to which offset the destination has settled it; None when that is not known."""
    read_to: int = 0
    """Up to which offset its lines were read."""
    counts: Counter[str] = field(default_factory=Counter)
    ranges: dict[str, list[Range]] = field(default_factory=dict)
    problem: str | None = None
    """Why its lines could not all be read."""

    def add(self, kind: str, first: int, end: int, events: int = 1) -> None:
        """Count events of ``kind`` in the bytes ``[first, end)``, which come after those counted before."""
        self.counts[kind] += events
        ranges = self.ranges.setdefault(kind, [])
        if ranges and ranges[-1].end == first:
            ranges[-1].end = end
            ranges[-1].events += events
        else:
            ranges.append(Range(first, end, events))


@dataclass(slots=True, kw_only=True)
class Lost:
    """Bytes of a stream that no file holds any more and that the destination never settled."""

    source: str
    stream: str
    path: str
    first: int
    end: int


@dataclass(slots=True, kw_only=True)
class Report:
    """The whole outcome."""

    agent_id: str
    against: str
    destination: str | None
    """Whose filters, rejects and cursors were looked at."""
    streams: list[StreamReport] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    elsewhere: int = 0
    """Events of this agent at the receiver that are of no file here: it was deleted, or they were pushed."""
    foreign: int = 0
    """Events at the receiver that are not of this agent."""
    damaged: int = 0
    """Lines at the receiver that are no events."""
    notes: list[str] = field(default_factory=list)
    """What explains the figures."""
    problems: list[str] = field(default_factory=list)
    """What could not be looked at, so that nothing is proved of it."""

    def unchecked(self) -> Counter[str]:
        """Return how many events of which source could not be asked for; only sources that have such events."""
        sums: Counter[str] = Counter()
        for each in self.streams:
            sums[each.source] += each.counts["unchecked"]
        return +sums

    def totals(self) -> Counter[str]:
        """Return the sum of every count over all streams."""
        sums = Counter(dict.fromkeys(COUNTS, 0))
        for each in self.streams:
            sums.update(each.counts)
        sums["foreign"] += self.foreign
        return sums

    def complete(self, *, strict: bool = False) -> bool:
        """Tell whether everything that had to arrive is there; what could not be checked never counts as that.

        ``strict``: also what was not sent yet or skipped.
        """
        totals = self.totals()
        wanting = totals["missing"] + totals["unchecked"] + (totals["not_sent"] + totals["skipped"] if strict else 0)
        return not (wanting or self.lost or self.problems)
