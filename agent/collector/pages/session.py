"""Who may look at the pages: a browser that was given a token once, or any program of this machine where none is set.

The browser holds a random number in a cookie no script can read; the database holds its hash beside the hash of the
token, so a token that is withdrawn ends its sessions at once, and nothing in the database lets anybody in.
"""

from __future__ import annotations

import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, TypeGuard
from urllib.parse import parse_qs, quote, urlsplit

from starlette.responses import RedirectResponse, Response

from agent.collector.access.principal import Principal, Scope
from agent.collector.store import sessions
from agent.receive.guard import local_only

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from agent.collector.access.guard import Guard
    from agent.collector.pages.render import Renderer
    from agent.collector.settings import Settings
    from agent.collector.store import Store

COOKIE = "audit_session"
LASTS_SECONDS = 12 * 3600
_FORM_BYTES = 16 << 10


def needs_session(
    page: Callable[[Request, str], Awaitable[Response]], *, part: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """Return ``page`` for those who may look, called with their organisation; others are sent to the login.

    What else they may do is in ``request.state.scopes``.

    ``part``: it is a part of a page that a script asks for, so others get 401.
    """

    async def guarded(request: Request) -> Response:
        org_id = await _organisation(request)
        if isinstance(org_id, str):
            return await page(request, org_id)
        if org_id is not None:
            return org_id
        if part:
            return Response("log in again", 401, media_type="text/plain")
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(asked)}", 303)

    return guarded


async def _organisation(request: Request) -> str | Response | None:
    """Return whose events the caller may see; an answer that refuses, or None, when it has to log in."""
    settings: Settings = request.app.state.settings
    if settings.open_to_this_machine:
        request.state.scopes = frozenset(Scope)
        return local_only(request) or settings.org_id
    held = request.cookies.get(COOKIE)
    if not held:
        return None
    store: Store = request.app.state.store
    mark = await store.read(sessions.token_of(_hash(held), now=_now()))
    guard: Guard = request.app.state.guard
    caller = await guard.marked(mark) if mark is not None else None
    if not _may_look(caller):
        return None
    request.state.scopes = caller.scopes
    return caller.org_id


async def login_form(request: Request) -> Response:
    """Show where to enter a token."""
    settings: Settings = request.app.state.settings
    if settings.open_to_this_machine:
        return RedirectResponse("/events", 303)
    return _form(request, _inside(request.query_params.get("next")))


async def login(request: Request) -> Response:
    """Open a session for a token that is allowed."""
    guard: Guard = request.app.state.guard
    given = await _fields(request)
    if given is None or not _same_site(request):
        return _form(request, "/events", error="That did not come from this page. Try again.", status=403)
    inside = _inside(given.get("next"))
    token = given.get("token", "").strip()
    caller = await guard.bearer(token)
    if caller is not None and not _may_look(caller):
        return _form(request, inside, error=f"This token has not the scope {Scope.AUDITS_READ}.", status=403)
    if caller is None:
        return _form(request, inside, error="This token is not known here.", status=401)
    held = secrets.token_urlsafe(32)
    store: Store = request.app.state.store
    now = _now()
    lasts = LASTS_SECONDS * 1_000_000
    await store.write(
        sessions.open_session(session=_hash(held), token=guard.mark(caller, token), now=now, expires_at=now + lasts)
    )
    answer = RedirectResponse(inside, 303, {"Cache-Control": "no-store"})
    answer.set_cookie(
        COOKIE, held, max_age=LASTS_SECONDS, path="/", httponly=True, samesite="strict", secure=_is_secure(request)
    )
    return answer


async def logout(request: Request) -> Response:
    """End the session."""
    held = request.cookies.get(COOKIE)
    if not _same_site(request):
        return RedirectResponse("/events", 303)
    if held:
        store: Store = request.app.state.store
        await store.write(sessions.close_session(_hash(held)))
    answer = RedirectResponse("/login", 303, {"Cache-Control": "no-store", "Clear-Site-Data": '"cache"'})
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=_is_secure(request))
    return answer


def _form(request: Request, inside: str, *, error: str = "", status: int = 200) -> Response:
    renderer: Renderer = request.app.state.renderer
    return renderer.page("login.html", {"next": inside, "error": error}, status=status)


def _may_look(caller: Principal | None) -> TypeGuard[Principal]:
    return caller is not None and Scope.AUDITS_READ in caller.scopes


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()


def _now() -> int:
    return time.time_ns() // 1000


async def _fields(request: Request) -> dict[str, str] | None:
    """Return the form's fields; None when there is too much of it."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _FORM_BYTES:
            return None
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), max_num_fields=20).items()}


def _same_site(request: Request) -> bool:
    """Tell whether a form of ours was sent: a browser says from which site, and a page elsewhere cannot change that."""
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _is_secure(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").lower())


def _inside(path: str | None) -> str:
    """Return ``path`` when it leads to a page of ours, and nowhere else."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout")) and path.isprintable():
        return path
    return "/events"
