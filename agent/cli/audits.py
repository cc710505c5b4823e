"""``audit-agent audits``: records of changes that were made through the API (WIRE 1.3).

Exit codes: 0 done, 1 the server refused or cannot be reached, 2 wrong usage.
"""

from __future__ import annotations

import argparse

from agent.cli.records import Listing, add_options, list_records

COLUMNS = ("time", "action", "user_email", "source_ip", "api_name", "target_resource_type", "target_id", "org_id")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "audits",
        help="list changes made through the Audits API",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, _listing(), run)


def run(arguments: argparse.Namespace) -> int:
    """List the records; returns the exit code."""
    return list_records(arguments, _listing())


def _listing() -> Listing:
    from agent.api.queries import AuditQuery

    return Listing(model=AuditQuery, columns=COLUMNS, ask=lambda client, query, cut: client.audits(query, cut))
