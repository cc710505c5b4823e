"""How rejects look: a table on a terminal, plain columns elsewhere, JSON lines when asked."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.lane.rejects import Reject
    from agent.lane.rejects.reader import Found

COLUMNS = ("time", "destination", "counter", "status", "unique_id", "reason")
SUMMARY = ("rejects", "destination", "counter", "status", "first", "last", "reason")


def listing(found: Iterable[Found], *, as_json: bool) -> None:
    """Print a line for each reject, without its event."""
    rows = [
        {name: getattr(each.reject, name) for name in COLUMNS} | {"bytes": len(each.reject.event)}
        for each in found
        if each.reject
    ]
    _print(rows, COLUMNS, as_json=as_json)


def summary(found: Iterable[Found], *, as_json: bool) -> None:
    """Print how many there are of each destination, counter, status and reason, most first."""
    times: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for each in found:
        if reject := each.reject:
            times[reject.destination, reject.counter, reject.status, reject.reason].append(reject.time)
    rows = [
        {
            "rejects": len(when),
            "destination": destination,
            "counter": counter,
            "status": status,
            "first": min(when),
            "last": max(when),
            "reason": reason,
        }
        for (destination, counter, status, reason), when in sorted(times.items(), key=lambda item: -len(item[1]))
    ]
    _print(rows, SUMMARY, as_json=as_json)


def show(found: Iterable[Found], *, as_json: bool) -> None:
    """Print each reject whole: why it was refused, what the destination answered, the event."""
    import msgspec

    for each in found:
        if each.reject is None:
            continue
        if as_json:
            print(msgspec.json.encode(each.reject).decode("utf-8", "replace"))
        else:
            _show(each.reject)


def _show(reject: Reject) -> None:
    for name in (*COLUMNS, "excerpt"):
        print(f"{name + ':':<13}{printable(getattr(reject, name))}")
    try:
        text = json.dumps(json.loads(bytes(reject.event)), indent=2, ensure_ascii=True)
    except ValueError:
        text = printable(bytes(reject.event).decode("utf-8", "replace"))
    print(f"{text}\n")


def _print(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    cells = [[printable(row[name]) for name in columns] for row in rows]
    if sys.stdout.isatty():
        _table(cells, columns)
        return
    widths = [max(len(name), *(len(row[i]) for row in cells)) if cells else 0 for i, name in enumerate(columns)]
    for line in [list(columns), *cells] if cells else []:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _table(cells: Iterable[Sequence[str]], columns: Iterable[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def printable(value: object) -> str:
    """Return ``value`` for a terminal: what a receiver answered must not steer it."""
    if value is None:
        return "-"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
