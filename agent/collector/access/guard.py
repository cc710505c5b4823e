"""Request → who is calling, or the answer that refuses it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

import anyio

from agent.collector.access import accounts
from agent.collector.access.principal import EVERY_SCOPE, Principal
from agent.receive.guard import local_only, problem

if TYPE_CHECKING:
    import sqlalchemy as sa
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.settings import Settings
    from agent.collector.store import Store

_REMEMBERED = 100_000
_CHECKS = 2
"""So many hashes are computed at a time: guessing must not take the processor from those who need not guess."""
_LONGEST = 4096
_ACCOUNT = b"account "


class Guard:
    """Knows the tokens of the settings, and asks the database for the others."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Use both."""
        self._settings = settings
        self._store = store
        self._known: dict[bytes, tuple[float, Principal]] = {}
        self._checks = anyio.Semaphore(_CHECKS)

    async def caller(self, request: Request) -> Principal | Response:
        """Return who is calling, or the answer to somebody who may not."""
        header = request.headers.get("authorization", "")
        if not header and self._settings.open_to_this_machine:
            return local_only(request) or Principal(name="local", org_id=self._settings.org_id, scopes=EVERY_SCOPE)
        scheme, _, given = header.partition(" ")
        found = None
        if len(header) <= _LONGEST:
            offered = given.strip()
            found = self._static(offered) if scheme.lower() == "bearer" else None
            if found is None and scheme.lower() in ("bearer", "basic"):
                found = await self._stored(scheme.lower(), offered)
        return found or problem(
            401,
            "unauthorized",
            "a bearer token, or a user's name and password, is required",
            {"WWW-Authenticate": 'Bearer realm="audit", Basic realm="audit", charset="UTF-8"'},
        )

    async def bearer(self, token: str) -> Principal | None:
        """Return whose token this is, None when it is nobody's."""
        if not token.isascii() or len(token) > _LONGEST:
            return None
        return self._static(token) or await self._stored("bearer", token)

    def mark(self, caller: Principal, token: str) -> bytes:
        """Return what a session remembers of the token that opened it: enough to see whether it is still good."""
        return _ACCOUNT + caller.token_id.encode() if caller.token_id else _hashed(token)

    async def marked(self, mark: bytes) -> Principal | None:
        """Return whose token a session was opened with, None when it is good no longer."""
        if mark.startswith(_ACCOUNT):
            number = mark.removeprefix(_ACCOUNT).decode()
            return await self._store.read(lambda connection: accounts.current(connection, number))
        # Every token is compared, in constant time, so that timing tells nothing.
        matches = [hmac.compare_digest(mark, _hashed(token)) for token in self._settings.tokens]
        return self._first(matches)

    def _static(self, offered: str) -> Principal | None:
        given = offered.encode("latin-1")
        # Every token is compared, in constant time, so that timing tells nothing.
        matches = [hmac.compare_digest(given, token.encode()) for token in self._settings.tokens]
        return self._first(matches)

    def _first(self, matches: list[bool]) -> Principal | None:
        if not any(matches):
            return None
        number = matches.index(True) + 1
        return Principal(name=f"token-{number}", org_id=self._settings.org_id, scopes=EVERY_SCOPE)

    async def _stored(self, scheme: str, offered: str) -> Principal | None:
        mark = hashlib.sha256(f"{scheme} {offered}".encode()).digest()
        now = time.monotonic()
        remembered = self._known.get(mark)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        if remembered is not None:
            # Its hash was computed once; all that can have happened since is that the account is gone.
            number = remembered[1].token_id
            return self._remember(mark, await self._store.read(lambda c: accounts.current(c, number)))
        pair = _pair(offered) if scheme == "basic" else None

        def check(connection: sa.Connection) -> Principal | None:
            if scheme == "bearer":
                return accounts.check_token(connection, offered)
            return accounts.check_user(connection, *pair) if pair else None

        async with self._checks:
            found = await self._store.read(check)
        return self._remember(mark, found)

    def _remember(self, mark: bytes, found: Principal | None) -> Principal | None:
        self._known.pop(mark, None)
        if found is not None:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[mark] = (time.monotonic() + self._settings.remembered_seconds, found)
        return found


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _pair(offered: str) -> tuple[str, str] | None:
    try:
        name, colon, password = base64.b64decode(offered, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon and "\0" not in name else None
