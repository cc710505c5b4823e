"""What is right: all that was written is there, nothing else, and nothing twice without a cause."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.torture.pusher import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.torture.journal import Cause, Journal
    from tests.torture.pusher import Pusher
    from tests.torture.seen import Line, Seen
    from tests.torture.writers import Log

SLACK_SECONDS = 3.0
"""How long before a cause an event may have been received, and not yet be settled on disk; more than enough."""
READ_SECONDS = 30.0
"""The same where only the time is known at which it was read: it may have waited in the queue."""
_FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was written."""

    logs: dict[str, Log]
    pusher: Pusher

    def lines(self) -> Iterable[Line]:
        """Return every line that has to arrive."""
        for name, log in self.logs.items():
            for n in range(log.written):
                yield name, n
        for n in self.pusher.taken:
            yield NAME, n

    def knows(self, line: Line) -> bool:
        """Tell whether a line may arrive."""
        writer, n = line
        if writer == NAME:
            return n in self.pusher.taken or n in self.pusher.unsure
        return writer in self.logs and n < self.logs[writer].written

    def written_at(self, line: Line) -> float | None:
        """Return about when a line was written."""
        return self.logs[line[0]].written_at(line[1]) if line[0] in self.logs else None


def missing(truth: Truth, seen: Seen) -> list[Line]:
    """Return what a destination neither has nor refused."""
    return [line for line in truth.lines() if not seen.has(line)]


def judge(truth: Truth, seen: Seen, journal: Journal) -> list[str]:
    """Return what is wrong at one destination, in words, with what was done at the time."""
    found = []
    if lost := missing(truth, seen):
        at = truth.written_at(min(lost))
        found.append(_words(seen, "missing, not even in rejects", sorted(lost), journal, at, at))
    if foreign := [line for line in seen.first if not truth.knows(line)]:
        at = seen.first[foreign[0]][0]
        found.append(_words(seen, "nobody wrote", foreign, journal, at, at))
    if seen.renamed:
        _line, first, other, before, at = seen.renamed[0]
        found.append(_words(seen, f"under other ids, {first} and {other}", seen.renamed, journal, before, at))
        found.append(f"{seen.name}: by writer: {Counter(line[0] for line, *_ in seen.renamed)}")
    causes = [c for c in journal.causes if c.destination in (None, seen.name)]
    slack = READ_SECONDS if seen.by_read_time else SLACK_SECONDS
    strange = [again for again in seen.again if not _excused(again, causes, truth.pusher, slack)]
    if strange:
        found.append(_words(seen, "twice without a cause", strange, journal, strange[0][1], strange[0][2]))
    return found


def shared(destinations: list[Seen]) -> list[str]:
    """Return the ids that two different lines bear, wherever they arrived."""
    lines: dict[str, Line] = {}
    found = []
    for seen in destinations:
        for line, (_at, identity) in seen.first.items():
            if lines.setdefault(identity, line) != line:
                found.append(f"{seen.name}: one id, two lines: {identity}: {lines[identity]} and {line}")
    return found[:_FEW]


def log_findings(log: str) -> list[str]:
    """Return what the agent said of faults of its own."""
    found = []
    for line in log.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            if not line.startswith(
                "audit-agent: "
            ):  # why it does not start; whether it should have is judged elsewhere
                found.append(f"not a log line: {line[:300]}")
            continue
        if "traceback" in line.lower() or "exception" in event or event["event"] in ("attempt_failed", "lane_ended"):
            found.append(f"in the log: {line[:2000]}")
    return found[:_FEW]


def false_alarms(log: str) -> list[str]:
    """Return where the agent said that bytes were lost, in a run that took no file away."""
    events = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    found = [e for e in events if e["event"] in ("bytes_lost", "hold_released")]
    return [f"{len(found)} times said to be lost, and nothing was: {found[0]}"] if found else []


def levels(log: str) -> Counter[str]:
    """Count the log's warnings and errors by event."""
    events = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return Counter(e["event"] for e in events if e["level"] in ("warning", "error"))


def _excused(again: tuple[Line, float, float], causes: list[Cause], pusher: Pusher, slack: float) -> bool:
    """Tell whether something happened about when the event was received first, and before it came again."""
    line, first, at = again
    if line[0] == NAME and line[1] in pusher.repeated:
        return True
    if first == at:  # a time that the sender gave: it says nothing of when it was read
        return any(cause.end >= first for cause in causes)
    return any(c.start - slack <= first <= c.end + SLACK_SECONDS and at >= c.start - 1 for c in causes)


def _words(
    seen: Seen, what: str, lines: list[object] | list[Line], journal: Journal, start: float | None, end: float | None
) -> str:
    head = f"{seen.name}: {len(lines)} {what}: {lines[:_FEW]}"
    if start is None or end is None:
        return head
    around = journal.around(start, end)
    cut = [*around[:60], "…", *around[-60:]] if len(around) > 120 else around
    return "\n    ".join([head, *cut])
