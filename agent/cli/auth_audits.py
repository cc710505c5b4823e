"""``audit-agent auth-audits``: records of authentication (WIRE 1.3).

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage.
"""

from __future__ import annotations

import argparse

from agent.cli.records import Listing, add_options, list_records

COLUMNS = ("time", "event_name", "result", "user_id", "upstream_user_id", "source_ip", "application_name", "org_id")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "auth-audits",
        help="list records of authentication",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, _listing(), run)


def run(arguments: argparse.Namespace) -> int:
    """List the records; returns the exit code."""
    return list_records(arguments, _listing())


def _listing() -> Listing:
    from agent.api.queries import AuthAuditQuery

    return Listing(model=AuthAuditQuery, columns=COLUMNS, ask=lambda client, query, cut: client.auth_audits(query, cut))
