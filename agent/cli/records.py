"""What ``audits`` and ``auth-audits`` share: the options of a list, printing it, and following it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from agent.cli.api_options import add_connection, connect, organisation
from agent.cli.common import run_async, seconds
from agent.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Sequence

    from agent.api.client import Client
    from agent.api.paging import Page
    from agent.api.queries import AuditQuery, AuthAuditQuery, Paging

OVERLAP = timedelta(seconds=60)
"""Following asks this far back again: a record may arrive later than one that happened after it."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One kind of records."""

    model: type[AuditQuery | AuthAuditQuery]
    columns: Sequence[str]
    ask: Callable[[Client, Any, Paging], AsyncIterator[Page]]


def add_options(parser: argparse.ArgumentParser, listing: Listing, run: Callable[[argparse.Namespace], int]) -> None:
    """Add a filter option for each member of the query, and what concerns paging and output."""
    from dataclasses import fields

    filters = parser.add_argument_group(
        "filters", "Dates: now-1day, today, -45d, '6 months ago', 2026-05-04, RFC 3339."
    )
    for each in fields(listing.model):
        option = "--" + each.name.replace("_", "-")
        if each.name == "org_id":
            continue
        if isinstance(each.default, tuple):
            filters.add_argument(option, action="append", default=[], metavar="VALUE", help="may be repeated")
        elif each.name in ("dt_from", "dt_to"):
            default = "now-1day" if each.name == "dt_from" else None
            note = "inclusive; default: now-1day" if default else "exclusive"
            filters.add_argument(option, default=default, metavar="DATE", help=note)
        else:
            filters.add_argument(option, metavar="VALUE")
    add_paging(parser)
    parser.add_argument("--columns", metavar="A,B", help=f"members to show; default: {','.join(listing.columns)}")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what is new, until Ctrl-C")
    parser.add_argument("--interval", type=seconds, default=5.0, metavar="DURATION", help="of --follow; default: 5s")
    add_connection(parser)
    parser.set_defaults(run=run)


def add_paging(parser: argparse.ArgumentParser) -> None:
    """Add the options of paging and output."""
    group = parser.add_argument_group("pages")
    group.add_argument("--limit", type=int, default=500, metavar="N", help="rows at most; default: 500")
    group.add_argument("--all", action="store_true", help="every row")
    group.add_argument("--page-size", type=int, default=500, metavar="N", help="rows of one request, 1 to 500")
    group.add_argument("--page-on", action="append", default=[], metavar="FIELD", help="sort and page by; repeatable")
    group.add_argument("--page-at-key", action="append", default=[], metavar="VALUE", help="begin after; repeatable")
    group.add_argument("--page-sort", action="append", default=[], choices=("asc", "desc"), help="for each --page-on")
    group.add_argument("--search-direction", choices=("forwards", "backwards"))
    parser.add_argument("--json", action="store_true", help="a JSON object a line, as the server wrote it")


def paging(arguments: argparse.Namespace) -> Paging:
    """Return the paging the options ask for."""
    from agent.api.queries import Paging

    if arguments.limit < 1:
        raise UsageError(f"--limit: found {arguments.limit}; allowed: a number from 1 on, or --all")
    return Paging(
        limit=arguments.page_size if arguments.all else max(1, min(arguments.page_size, arguments.limit, 500)),
        page_on=tuple(arguments.page_on),
        page_at_key=tuple(arguments.page_at_key),
        page_sort=tuple(arguments.page_sort),
        search_direction=arguments.search_direction,
    )


async def rows(pages: AsyncIterator[Page], arguments: argparse.Namespace) -> AsyncIterator[Row]:
    """Yield the rows of ``pages``, as many as the options allow."""
    count = 0
    async for page in pages:
        for row in page.rows:
            yield row
            count += 1
            if not arguments.all and count >= arguments.limit:
                return


def list_records(arguments: argparse.Namespace, listing: Listing) -> int:
    """Print the records the options ask for; with ``--follow`` go on until interrupted. Returns the exit code."""
    from dataclasses import fields

    names = [each.name for each in fields(listing.model) if each.name != "org_id"]
    given = {name: getattr(arguments, name) for name in names}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    query = listing.model(**given, org_id=organisation(arguments))
    cut = paging(arguments)
    client = connect(arguments)
    printer = _Printer(arguments, listing.columns)

    async def main() -> None:
        async with client:
            if not arguments.follow:
                found = [row async for row in rows(listing.ask(client, query, cut), arguments)]
                printer.show(found)
                if not found and query.dt_from:
                    since = f"nothing found from {query.dt_from} on; --dt-from '' asks for all there ever was"
                    print(f"audit-agent: {since}", file=sys.stderr)
                return
            await _follow(client, query, cut, listing, printer, arguments)

    try:
        run_async(main)
    except KeyboardInterrupt:
        return 0 if arguments.follow else 1
    return 0


async def _follow(
    client: Client,
    query: AuditQuery | AuthAuditQuery,
    cut: Paging,
    listing: Listing,
    printer: _Printer,
    arguments: argparse.Namespace,
) -> None:
    from dataclasses import replace

    import anyio

    from agent.api.dates import rfc3339
    from agent.hints import rfc3339 as read

    if query.dt_to:
        raise UsageError("--dt-to: found with --follow; allowed: one of the two")
    seen: dict[str, datetime] = {}
    while True:
        new: list[tuple[datetime, Row]] = []
        newest = max(seen.values(), default=None)
        if newest is not None:
            query = replace(query, dt_from=rfc3339(newest - OVERLAP))
        async for page in listing.ask(client, query, cut):
            for row in page.rows:
                name = json.dumps(row, sort_keys=True)
                if name not in seen:
                    text = row.get("time")
                    at = (read(text) if isinstance(text, str) else None) or datetime.now(UTC)
                    seen[name] = at
                    new.append((at, row))
        printer.show([row for _, row in sorted(new, key=lambda pair: pair[0])])
        end = max(seen.values(), default=datetime.now(UTC)) - 2 * OVERLAP
        seen = {name: at for name, at in seen.items() if at >= end}
        await anyio.sleep(arguments.interval)


class _Printer:
    """Prints rows as the options want them; a list that is followed has no frame that would end."""

    def __init__(self, arguments: argparse.Namespace, columns: Sequence[str]) -> None:
        self._json = arguments.json
        self._follow = arguments.follow
        self._columns = arguments.columns.split(",") if arguments.columns else list(columns)

    def show(self, found: list[Row]) -> None:
        from agent.cli.tables import print_rows, printable

        if self._follow and not self._json:
            for row in found:
                print("  ".join(printable(row.get(name)) for name in self._columns), flush=True)
            return
        print_rows(found, self._columns, as_json=self._json)
        sys.stdout.flush()
