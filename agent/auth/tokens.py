"""Access tokens that somebody issues: asked for when needed, kept, renewed before they end, once more after a 401.

The flow yields the question to the issuer like any other request, so whoever drives it owns the network.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import httpx

from agent.auth.header import REFUSED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

STAY = "stay"
"""Extension of a request that follows no redirect: what it carries is for one place only."""
MAX_ANSWER_BYTES = 256 * 1024
MARGIN_SECONDS = 60.0
"""A token is not used in the last seconds of its life, at most half of it."""
AGAIN_SECONDS = 30.0
"""Pause between attempts to renew a token that still works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token and how long it lives from now."""

    value: str = field(repr=False)
    lives_seconds: float


class TokenAuth(httpx.Auth):
    """Signs requests with an issued token; one question at a time, however many requests wait for its answer.

    Renewed at a random moment between half and four fifths of its life, so that a fleet does not ask together;
    when that fails, the old one is used as long as it lives.
    """

    def __init__(
        self,
        *,
        ask: Callable[[], httpx.Request],
        read: Callable[[httpx.Response], Token],
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Keep how to ask and how to read the answer.

        ``ask`` may raise ``SecretError``, ``read`` ``TokenError``; both leave the flow.
        """
        self._ask = ask
        self._read = read
        self._clock = clock
        self._spread = spread
        self._value: str | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._lock: anyio.Lock | None = None

    def __repr__(self) -> str:
        """Show the class only: the token is a secret."""
        return "TokenAuth(***)"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield questions to the issuer and the signed request, which is repeated once when it is refused.

        The answers to the questions must come with their bodies read.
        """
        yield from self._obtain()
        used = self._value
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code not in REFUSED:
            return
        self._drop(used)  # else another request has renewed it meanwhile
        yield from self._obtain()
        used = self._value
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code in REFUSED:
            self._drop(used)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Do the same, asking once for all requests that are under way."""
        if self._lock is None:
            self._lock = anyio.Lock()
        flow = self.auth_flow(request)
        response: httpx.Response | None = None
        try:
            while True:
                async with self._lock:
                    message = next(flow) if response is None else flow.send(response)
                    while message is not request:
                        message = flow.send(await _whole((yield message)))
                response = yield message
        except StopIteration:
            return

    def _drop(self, used: str | None) -> None:
        if self._value == used:
            self._value = None

    def _obtain(self) -> Generator[httpx.Request, httpx.Response, None]:
        from agent.errors import TokenError

        now = self._clock()
        if self._value is not None and now < self._renew_at:
            return
        if alive := self._value is not None and now < self._ends_at:
            self._renew_at = now + AGAIN_SECONDS  # should the answer never come
        question = self._ask()
        question.extensions = {**question.extensions, STAY: True}
        try:
            token = self._read((yield question))
        except TokenError:
            if alive:
                return
            raise
        life = token.lives_seconds
        self._value = token.value
        self._ends_at = now + life - min(MARGIN_SECONDS, life / 2)
        self._renew_at = min(now + life * self._spread(0.5, 0.8), self._ends_at)


async def _whole(response: httpx.Response) -> httpx.Response:
    """Read an issuer's answer, as far as one can be long, and give its connection back."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                break
    finally:
        await response.aclose()
    kept = [(n, v) for n, v in response.headers.multi_items() if n not in ("content-encoding", "content-length")]
    return httpx.Response(response.status_code, headers=kept, content=bytes(body[:MAX_ANSWER_BYTES]))
