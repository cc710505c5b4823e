"""``audit-agent destinations``: list, show, make, change and remove the destinations the Audits API holds (WIRE 1, 2).

Exit codes: 0 done, 1 the server refused or cannot be reached (create: the name is taken), 2 wrong usage.
Secrets are shown as ***, unless --secrets is given.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from agent.cli.api_options import add_connection, connect, organisation
from agent.cli.common import run_async
from agent.cli.records import add_paging, paging, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.api.client import Client

COLUMNS = ("id", "name", "destination_type", "location", "enabled", "event_level_filter", "filters", "updated")
_SECRET = frozenset({"password", "token", "client_secret", "private_key", "private_key_passphrase"})

Document = dict[str, Any]


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command with its actions."""
    from agent.api.edit import FILTER_TYPES
    from agent.cli.destination_options import add_spec

    parser = subparsers.add_parser(
        "destinations",
        help="list and change the destinations of the Audits API",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    each = _action(actions, "list", _list, "a line for each destination")
    each.add_argument("--name", help="only the one with this name")
    each.add_argument("--type", dest="destination_type", metavar="TYPE", help="only of this type")
    each.add_argument("--external", choices=("true", "false"), help="only routed through the outside, or not")
    each.add_argument("--search", action="append", default=[], metavar="TEXT", help="contained somewhere; repeatable")
    add_paging(each)
    _with_id(_action(actions, "show", _show, "one destination, as the server wrote it"))
    each = _action(actions, "create", _create, "make one")
    each.add_argument("--ensure", action="store_true", help="a destination of this name that exists is fine")
    add_spec(each)
    each = _with_id(_action(actions, "update", _update, "change one; what is not named stays"))
    add_spec(each)
    _with_id(_action(actions, "delete", _delete, "remove one"))
    for name, run, text in (
        ("add-filter", _add_filter, "let more values of a property pass"),
        ("delete-filter", _delete_filter, "take values out of a filter, or with --all-values the filter"),
    ):
        each = _with_id(_action(actions, name, run, text))
        each.add_argument("--filter-type", required=True, choices=FILTER_TYPES)
        values = each.add_mutually_exclusive_group(required=True)
        values.add_argument("--value", action="append", metavar="VALUE", help="may be repeated")
        if name == "delete-filter":
            values.add_argument("--all-values", action="store_true", help="remove all filters of this type")


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--secrets", action="store_true", help="show secrets as they are")
    add_connection(parser)
    parser.set_defaults(run=run)
    return parser


def _with_id(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("id", metavar="ID")
    return parser


def _ask(arguments: argparse.Namespace, work: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:  # noqa: ANN401
    """Run ``work`` with a client and return what it returns."""
    client = connect(arguments)
    outcome = None

    async def main() -> None:
        nonlocal outcome
        async with client:
            outcome = await work(client)

    run_async(main)
    return outcome


def _list(arguments: argparse.Namespace) -> int:
    from agent.api.queries import DestinationQuery
    from agent.cli.tables import print_rows

    query = DestinationQuery(
        org_id=organisation(arguments),
        destination_type=arguments.destination_type,
        name=arguments.name,
        external=None if arguments.external is None else arguments.external == "true",
        search_params=tuple(arguments.search),
    )
    cut = paging(arguments)

    async def work(client: Client) -> list[Document]:
        return [row async for row in rows(client.destinations(query, cut), arguments)]

    found = [_shown(row, arguments) for row in _ask(arguments, work)]
    print_rows(found if arguments.json else list(map(_summary, found)), COLUMNS, as_json=arguments.json)
    return 0


def _summary(document: Document) -> Document:
    spec, metadata = document.get("spec") or {}, document.get("metadata") or {}
    filters = [_filter_text(each) for each in spec.get("filters") or [] if isinstance(each, dict)]
    return {**spec, **metadata, "filters": " ".join(filters) or None}


def _filter_text(each: Document) -> str:
    values = [str(v) for v in (each.get("value"), *(each.get("or_list") or [])) if v is not None]
    return f"{each.get('filter_type')}={'|'.join(values) or 'any'}"


def _show(arguments: argparse.Namespace) -> int:
    found = _ask(arguments, lambda client: client.get_destination(arguments.id, org_id=organisation(arguments)))
    return _print(found, arguments)


def _create(arguments: argparse.Namespace) -> int:
    from agent.api.models import Spec, view
    from agent.cli.destination_options import members

    defaults = {"enabled": True, "comment": "", "filters": [], "org_id": organisation(arguments) or ""}
    spec = {name: value for name, value in (defaults | members(arguments)).items() if value is not None}
    view(spec, Spec)
    created = _ask(arguments, lambda client: client.create_destination({"spec": spec}))
    _print(created.document, arguments)
    if created.existed:
        print(f"audit-agent: a destination named {spec['name']!r} exists already", file=sys.stderr)
    return 1 if created.existed and not arguments.ensure else 0


def _update(arguments: argparse.Namespace) -> int:
    from agent.api.edit import changed
    from agent.cli.destination_options import members
    from agent.errors import UsageError

    wanted = members(arguments)
    if not wanted:
        raise UsageError("update: found nothing to change; allowed: at least one option of the destination")
    return _change(arguments, lambda document: changed(document, wanted))


def _add_filter(arguments: argparse.Namespace) -> int:
    from agent.api.edit import with_filter

    return _change(arguments, lambda document: with_filter(document, arguments.filter_type, arguments.value))


def _delete_filter(arguments: argparse.Namespace) -> int:
    from agent.api.edit import without_filter

    values = None if arguments.all_values else arguments.value
    return _change(arguments, lambda document: without_filter(document, arguments.filter_type, values))


def _change(arguments: argparse.Namespace, change: Callable[[Document], Document]) -> int:
    from agent.api.models import Destination, view

    def checked(document: Document) -> Document:
        new = change(document)
        view(new, Destination)
        return new

    org_id = organisation(arguments)
    return _print(
        _ask(arguments, lambda client: client.change_destination(arguments.id, checked, org_id=org_id)), arguments
    )


def _delete(arguments: argparse.Namespace) -> int:
    _ask(arguments, lambda client: client.delete_destination(arguments.id, org_id=organisation(arguments)))
    print(f"destinations: {arguments.id} deleted", file=sys.stderr)
    return 0


def _print(document: Document, arguments: argparse.Namespace) -> int:
    # ASCII: what somebody else has written into an object must not steer the terminal.
    print(json.dumps(_shown(document, arguments), indent=2, ensure_ascii=True))
    return 0


def _shown(document: Document, arguments: argparse.Namespace) -> Document:
    shown = document if arguments.secrets else _masked(document)
    return shown if isinstance(shown, dict) else {}


def _masked(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {k: "***" if k in _SECRET and v else _masked(v) for k, v in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
