"""One request to the API: signed, within a time limit, tried again where that may help."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from agent import __version__, auth, hints
from agent.api.errors import ApiError, refused
from agent.backoff import FullJitter
from agent.config.model import Delivery
from agent.destinations import failures
from agent.destinations.base import Kind
from agent.destinations.connections import Connections
from agent.destinations.exchange import exchange
from agent.destinations.text import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from agent.config.model import ControlPlaneConfig
    from agent.destinations.verdict import Reply

MAX_BODY_BYTES = 64 * 1024 * 1024
CONNECT_SECONDS = 10.0
_RETRIED = frozenset({408, 425, 429})
_OK = frozenset({200, 201, 204})

Parameters = list[tuple[str, str]]
"""Query parameters; a name may stand several times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a request is tried, and the waits in between (seconds)."""

    attempts: int = 4
    base: float = 0.5
    cap: float = 10.0
    max_retry_after: float = 60.0
    """A server that wants a longer pause gets no further attempt: the error says when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer that was expected."""

    status: int
    body: bytes
    attempts: int
    """How many requests it took; from 2 on, an earlier one may have had its effect unseen."""

    def document(self, what: str) -> dict[str, Any]:
        """Return the body, a JSON object. Raises ``ApiError`` when it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ApiError(f"{what}: the server answered {self.status} without a JSON object", status=self.status)
        return found


class Session:
    """Connections and credentials for one server. Building does no I/O; close it when done."""

    def __init__(
        self,
        config: ControlPlaneConfig,
        *,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        """Keep the settings. Raises ``ValueError`` for a URL or an authentication that cannot work."""
        self._base = base_url(config.url or "")
        self._auth = auth.build(config.authentication)
        self._timeout = config.timeout
        self._patience = patience or Patience()
        self._jitter = FullJitter(base=self._patience.base, cap=self._patience.cap)
        self._sleep = sleep
        delivery = Delivery(
            proxy=config.proxy,
            tls=config.tls,
            timeout=config.timeout,
            connect_timeout=min(CONNECT_SECONDS, config.timeout),
        )
        self._extensions = {"timeout": {"connect": delivery.connect_timeout}}
        self._connections = Connections(delivery, self._base, transport=transport)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        content: object = None,
        expected: Collection[int] = _OK,
    ) -> Response:
        """Send a request until it is answered with one of ``expected``. Raises ``ApiError``.

        Tried again: no connection, no answer in time, 408, 425, 429 and 5xx, as long as there is patience; every
        operation of the API may be repeated.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                reply = await self._once(method, path, list(query), content)
                if reply.status in expected and reply.complete:
                    return Response(status=reply.status, body=reply.body, attempts=attempt)
                raise self._judge(f"{method} {path}", reply)
            except ApiError as error:
                error.attempts = attempt
                seconds = self._wait(error, attempt)
                if seconds is None:
                    raise
            await self._sleep(seconds)

    def _wait(self, error: ApiError, attempt: int) -> float | None:
        """Return how long to wait before the next attempt, None when there is to be none."""
        if not error.temporary or attempt >= self._patience.attempts:
            return None
        hint = error.retry_after_seconds
        if hint is None:
            return self._jitter.seconds(attempt)
        return hint if hint <= self._patience.max_retry_after else None

    async def _once(self, method: str, path: str, query: Parameters, content: object) -> Reply:
        request = self._request(method, path, query, content)
        origin = shown(self._base)
        try:
            with anyio.fail_after(self._timeout):
                return await exchange(
                    request,
                    auth=self._auth,
                    connections=self._connections,
                    secret_headers=(),
                    max_body_bytes=MAX_BODY_BYTES,
                )
        except TimeoutError:
            message = f"{method} {path}: {origin}: no answer within {self._timeout:g} s"
            raise ApiError(message, temporary=True) from None
        except failures.CAUGHT as error:
            if failures.is_tls(error):
                await self._connections.reset()
            found = failures.failure(error, origin=origin)
            raise ApiError(
                f"{method} {path}: {found.reason}",
                temporary=found.kind is Kind.NOT_NOW,
                retry_after_seconds=found.retry_after_seconds,
            ) from error

    def _request(self, method: str, path: str, query: Parameters, content: object) -> httpx.Request:
        url = self._base.copy_with(path=f"{self._base.path.rstrip('/')}{path}")
        if query:
            url = url.copy_merge_params(httpx.QueryParams(tuple(query)))
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, identity",
            "User-Agent": f"audit-agent/{__version__}",
        }
        body = None
        if content is not None:
            headers["Content-Type"] = "application/json"
            body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        return httpx.Request(method, url, headers=headers, content=body, extensions=dict(self._extensions))

    def _judge(self, what: str, reply: Reply) -> ApiError:
        if reply.status in _OK and not reply.complete:
            return ApiError(f"{what}: an answer of more than {MAX_BODY_BYTES} bytes", status=reply.status)
        temporary = reply.status in _RETRIED or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        headers = httpx.Headers(reply.headers)
        wait = hints.retry_after_seconds(
            retry_after=headers.get_list("retry-after"),
            date=headers.get("date"),
            now=datetime.now(UTC),
            cap=math.inf,
        )
        return refused(what, reply.status, reply.body, retry_after_seconds=wait, temporary=temporary)


def base_url(text: str) -> httpx.URL:
    """Return the base URL. Raises ``ValueError`` that repeats no password."""
    allowed = "allowed: https://HOST[:PORT][/PATH]"
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError):
        raise ValueError(f"url: found no URL; {allowed}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"url: found {text[:60]!r}; {allowed}" if "@" not in text else f"url: found no URL; {allowed}")
    if url.userinfo or url.query or url.fragment:
        raise ValueError(f"url: found more than scheme, host and path; {allowed}, and credentials in authentication")
    return url
