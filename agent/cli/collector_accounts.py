"""``audit-agent collector token`` and ``… user``: who may call a collector."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from agent.cli.common import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from agent.collector.access.accounts import Account

PASSWORD_VARIABLE = "AUDIT_COLLECTOR_PASSWORD"  # noqa: S105 # a name
SCOPES = ("events:write", "destinations:read", "destinations:write", "audits:read")
_PURPOSES = {
    "agent": ("events:write", "destinations:read"),
    "reader": ("audits:read",),
    "admin": SCOPES,
}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``token`` and ``user``, each with ``add``, ``list`` and ``remove``."""
    for kind in ("token", "user"):
        parser = subparsers.add_parser(kind, help=f"{kind}s that may call", description=__doc__)
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for action in ("add", "list", "remove"):
            one = actions.add_parser(action, help=f"{action} a {kind}" if action != "list" else f"list {kind}s")
            one.add_argument("--database", default=argparse.SUPPRESS, metavar="PATH|URL", help="the collector's")
            if action == "list":
                one.add_argument("--json", action="store_true")
            else:
                one.add_argument("name")
            if action == "add":
                _add_options(one, kind)
            one.set_defaults(run=run, kind=kind)


def _add_options(parser: argparse.ArgumentParser, kind: str) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--for", dest="purpose", choices=sorted(_PURPOSES), help="the scopes that this needs")
    group.add_argument("--scope", action="append", choices=SCOPES, help="a scope; may be repeated")
    parser.add_argument("--org-id", default="default", metavar="ID", help="its organisation (default: %(default)s)")
    if kind == "token":
        parser.add_argument("--expires", type=seconds, metavar="DURATION", help="after this; default: never")


def run(arguments: argparse.Namespace) -> int:
    """Change or show accounts; returns the exit code."""
    from agent.collector.store import Store

    store = Store(arguments.database)
    try:
        actions = {"add": _add, "list": _list, "remove": _remove}
        return actions[arguments.action](store, arguments)
    finally:
        store.close()


def _add(store: Any, arguments: argparse.Namespace) -> int:  # noqa: ANN401 # imported where it is used
    from agent.collector.access import accounts
    from agent.collector.access.principal import Scope

    scopes = [Scope(name) for name in arguments.scope or _PURPOSES[arguments.purpose]]
    org = store.orgs.make(store.database, arguments.org_id)
    password = _password() if arguments.kind == accounts.USER else ""
    try:
        with store.database.writing() as connection:
            if arguments.kind == accounts.TOKEN:
                after = arguments.expires
                expires = None if after is None else int((time.time() + after) * 1e6)
                print(accounts.add_token(connection, org, arguments.name, scopes, expires=expires))
            else:
                accounts.add_user(connection, org, arguments.name, password, scopes)
            made = next(a for a in accounts.listed(connection) if (a.kind, a.name) == (arguments.kind, arguments.name))
            _tell(connection, org, "CREATE", made)
    except accounts.AccountError as error:
        print(f"audit-agent: {error}", file=sys.stderr)
        return 1
    if arguments.kind == accounts.TOKEN:
        print("This is the only time that it is shown.", file=sys.stderr)
    return 0


def _remove(store: Any, arguments: argparse.Namespace) -> int:  # noqa: ANN401 # as above
    from agent.collector.access import accounts

    with store.database.writing() as connection:
        gone = accounts.remove(connection, arguments.kind, arguments.name)
        if gone is None:
            print(f"audit-agent: there is no {arguments.kind} of the name {arguments.name!r}", file=sys.stderr)
            return 1
        _tell(connection, store.orgs.find(connection, gone.org_id), "DELETE", gone)
    return 0


def _list(store: Any, arguments: argparse.Namespace) -> int:  # noqa: ANN401 # as above
    from agent.collector.access import accounts
    from agent.collector.store.paging import timestamp

    with store.database.reading() as connection:
        found = [one for one in accounts.listed(connection) if one.kind == arguments.kind]
    for one in found:
        expires = timestamp(one.expires) if one.expires is not None else None
        shown: dict[str, Any] = {"name": one.name, "id": one.id, "org_id": one.org_id, "scopes": list(one.scopes)}
        shown |= {"created": timestamp(one.created), "expires": expires}
        print(json.dumps(shown) if arguments.json else "  ".join(_columns(shown)))
    return 0


def _columns(shown: dict[str, Any]) -> Iterator[str]:
    for value in shown.values():
        text = ",".join(value) if isinstance(value, list) else str(value or "-")
        yield "".join(c if c.isprintable() else "?" for c in text)


def _tell(connection: sa.Connection, org: int, action: str, account: Account) -> None:
    from agent.collector.store import own

    own.tell(
        connection,
        org,
        action=action,
        kind=account.kind.capitalize(),
        target_id=account.id,
        target_name=account.name,
        org_id=account.org_id,
        by=f"local:{getpass.getuser()}",
    )


def _password() -> str:
    from agent.errors import UsageError

    if (found := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return found
    if not sys.stdin.isatty():
        raise UsageError(f"password: found no terminal to ask at; allowed: {PASSWORD_VARIABLE} in the environment")
    return getpass.getpass("Password: ")
