"""How lists look: a table on a terminal, plain columns elsewhere, JSON lines when asked."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print ``columns`` of ``rows``; with ``as_json`` whole rows, an object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    cells = [[printable(row.get(name)) for name in columns] for row in rows]
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
