"""How the outcome of ``reconcile`` looks."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from agent.reconcile.report import COUNTS

if TYPE_CHECKING:
    from agent.reconcile.report import Report

MOST_RANGES = 20
"""Shown of each kind on a terminal; ``--json`` has all."""
_WORDS = {"not_sent": "not sent yet", "unchecked": "not checked"}
_DETAILED = ("missing", "unchecked", "foreign", "rejected", "duplicate", "skipped", "not_sent")


def as_json(report: Report, *, strict: bool) -> None:
    """Print one object: counts for each stream, every byte range."""
    import msgspec

    whole: dict[str, Any] = {
        "complete": report.complete(strict=strict),
        "against": report.against,
        "destination": report.destination,
        "agent_id": report.agent_id,
        "totals": report.totals(),
        "elsewhere": report.elsewhere,
        "foreign_agents": report.foreign,
        "damaged_lines": report.damaged,
        "notes": report.notes,
        "unchecked_sources": report.unchecked(),
        "problems": report.problems,
        "lost": report.lost,
        "streams": [
            {
                "source": each.source,
                "stream": each.stream,
                "path": each.path,
                "cursor": each.cursor,
                "read_to": each.read_to,
                "counts": {name: each.counts[name] for name in COUNTS},
                "ranges": each.ranges,
            }
            for each in report.streams
        ],
    }
    print(msgspec.json.format(msgspec.json.encode(whole, enc_hook=dict), indent=2).decode())


def as_text(report: Report, *, strict: bool) -> None:
    """Print what was found for people: a line of counts for each source, then what is not in order."""
    of = f" (destination {report.destination})" if report.destination else " (of no configured destination)"
    print(f"against {report.against}{of}")
    sources: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in report.streams:
        sources[each.source].update(each.counts)
    rows = [[name, *(f"{counts[kind]:,}" for kind in COUNTS)] for name, counts in sorted(sources.items())]
    totals = report.totals()
    rows.append(["total", *(f"{totals[kind]:,}" for kind in COUNTS)])
    _table(["source", *(_WORDS.get(kind, kind) for kind in COUNTS)], rows)
    for kind in _DETAILED:
        _ranges(report, kind)
    for gone in report.lost:
        print(f"lost: {_shown(gone.path)} bytes {gone.first}-{gone.end}, in no file any more (stream {gone.stream})")
    for source, events in sorted(report.unchecked().items()):
        print(
            f"not checked: source {_shown(source)}: {events:,} events have ids of their own (format envelope), which a"
            " collector cannot be asked for; leave it out with --source, or reconcile a file destination"
        )
    for problem in report.problems:
        print(f"not looked at: {_shown(problem)}")
    for note in report.notes:
        print(note)
    if report.elsewhere:
        print(f"{report.elsewhere:,} events of this agent are of no file here: deleted since, or pushed")
    if report.foreign:
        print(f"{report.foreign:,} events are of other agents")
    if report.damaged:
        print(f"{report.damaged:,} lines at the receiver are no events")
    if report.destination is None:
        print("no cursors and filters were looked at: name the destination with --destination")
    print("complete" if report.complete(strict=strict) else "NOT complete")


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [_shown(row[0]).ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))


def _ranges(report: Report, kind: str) -> None:
    found = [(each, one) for each in report.streams for one in each.ranges.get(kind, ())]
    for each, one in found[:MOST_RANGES]:
        where = f"bytes {one.first}-{one.end}" if kind != "foreign" else f"id at byte {one.first}"
        print(f"{_WORDS.get(kind, kind)}: {_shown(each.path)} {where}: {one.events:,} (stream {each.stream})")
    if len(found) > MOST_RANGES:
        print(f"{_WORDS.get(kind, kind)}: {len(found) - MOST_RANGES:,} more ranges; --json shows all")


def _shown(text: str) -> str:
    """Return ``text`` without what a terminal would act upon."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
