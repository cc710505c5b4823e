"""One event: its members, and all of it as it arrived."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from agent.collector.pages.lines import line
from agent.collector.store import events
from agent.collector.store.search import Hit

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.requests import Request

    from agent.collector.pages.render import Renderer
    from agent.collector.store import Store

MOST_SHOWN = 64 << 10
"""Characters of an event on its page; a download has all of it."""
MOST_DEPTH = 60
MOST_MEMBERS = 200
_MEMBER_CHARACTERS = 1000
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = re.compile(rb"[^][{}]+")


async def event(request: Request, org_id: str) -> Response:
    """Show one event."""
    renderer: Renderer = request.app.state.renderer
    found = await _find(request, org_id)
    if found is None:
        values = {"page": "events", "unique_id": request.path_params["unique_id"]}
        return renderer.page("missing.html", values, status=404)
    received_at, envelope = found
    text, whole = pretty(envelope)
    values = {
        "page": "events",
        "line": line(Hit(number=0, received_at=received_at, envelope=envelope)),
        "unique_id": request.path_params["unique_id"],
        "received_at": received_at / 1e6,
        "members": members(envelope),
        "text": text,
        "whole": whole,
        "bytes": len(envelope),
    }
    return renderer.page("event.html", values)


async def raw(request: Request, org_id: str) -> Response:
    """Answer with the event's bytes, to be saved and not to be shown."""
    found = await _find(request, org_id)
    if found is None:
        return Response("no such event", 404, media_type="text/plain")
    headers = {
        "Content-Disposition": f'attachment; filename="{request.path_params["unique_id"]}.json"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "no-store",
    }
    return Response(found[1], headers=headers, media_type="application/octet-stream")


async def _find(request: Request, org_id: str) -> tuple[int, bytes] | None:
    store: Store = request.app.state.store
    name = request.path_params["unique_id"]
    if not re.fullmatch(r"[a-zA-Z0-9\-._]{1,256}", name, re.ASCII):
        return None

    def run(connection: sa.Connection) -> tuple[int, bytes] | None:
        org = store.orgs.find(connection, org_id)
        return None if org is None else events.find(connection, org, name)

    return await store.read(run)


def pretty(envelope: bytes) -> tuple[str, bool]:
    """Return an event as text, indented where that is safe, and whether that is all of it."""
    data = envelope
    if len(envelope) <= MOST_SHOWN and depth(envelope) <= MOST_DEPTH:
        data = msgspec.json.format(envelope, indent=2)
    text = data.decode("utf-8", "replace")
    return text[:MOST_SHOWN], len(text) <= MOST_SHOWN


def members(envelope: bytes) -> list[tuple[str, str]]:
    """Return the event's members, simple ones as text and others as JSON, within bounds."""
    try:
        found: dict[str, Any] = msgspec.json.decode(envelope, type=dict[str, msgspec.Raw])
        inside = msgspec.json.decode(found["event"], type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, KeyError, UnicodeDecodeError):
        return []
    return [(name, _value(bytes(value))) for name, value in list(inside.items())[:MOST_MEMBERS]]


def _value(data: bytes) -> str:
    text = data[: 4 * _MEMBER_CHARACTERS].decode("utf-8", "replace")
    if data[:1] == b'"':
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            text = msgspec.json.decode(data, type=str)
    return text if len(text) <= _MEMBER_CHARACTERS else f"{text[:_MEMBER_CHARACTERS]}…"


def depth(data: bytes) -> int:
    """Return how deeply a JSON text is nested."""
    now = deepest = 0
    for bracket in _NO_BRACKETS.sub(b"", _STRINGS.sub(b"", data)):
        now += 1 if bracket in b"[{" else -1
        deepest = max(deepest, now)
    return deepest
