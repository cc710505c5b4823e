"""How rejects look: a table on a terminal, plain columns elsewhere, JSON lines when asked."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from agent.cli.tables import print_rows, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    print_rows(rows, COLUMNS, as_json=as_json)


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
    print_rows(rows, SUMMARY, as_json=as_json)


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
