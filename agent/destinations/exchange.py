"""One request with its credentials and redirects → one reply (WIRE 4.3). Speaks to the transport directly.

``httpx.AsyncClient`` does the same and more (cookies, hooks, a log line for each request) for twice the CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import httpx

from agent.auth.tokens import STAY
from agent.destinations.http1 import Http1, Incoming
from agent.destinations.outgoing import Outgoing
from agent.destinations.verdict import Reply
from agent.gunzip import Gunzip, GunzipError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from agent.destinations.connections import Connections

MAX_HOPS = 5
REDIRECTS = frozenset({307, 308})
ERROR_BODY_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 5.0
_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""Of answers; none is asked for, and what is of another one is taken as it is."""

_R = TypeVar("_R", httpx.Response, "httpx.Response | Incoming")


async def exchange(
    request: httpx.Request | Outgoing,
    *,
    auth: httpx.Auth | None,
    connections: Connections,
    secret_headers: Collection[str],
    max_body_bytes: int,
) -> Reply:
    """Send ``request`` and return the reply, at most ``max_body_bytes`` of its body read.

    Raises ``httpx.TransportError``, ``ssl.SSLError``, ``TlsError``, ``SecretError``.
    """
    if auth is None:
        return await _read(await _follow(request, connections, secret_headers, _answer), max_body_bytes)
    flow = auth.async_auth_flow(_whole(request))
    try:
        signed = await anext(flow)
        while True:
            response = await _follow(signed, connections, secret_headers, _response)
            try:
                signed = await flow.asend(response)
            except StopAsyncIteration:
                return await _read(response, max_body_bytes)
            if not response.is_closed:  # else it was an answer to the flow's own question
                await _read(response, max_body_bytes)  # refused: its connection can be used again
    finally:
        await flow.aclose()


async def _answer(transport: httpx.AsyncBaseTransport, request: httpx.Request | Outgoing) -> httpx.Response | Incoming:
    """Send ``request``; a response that nobody but this module looks at needs no ``httpx.Response``."""
    if isinstance(transport, Http1):
        return await transport.send(request)
    return await transport.handle_async_request(_whole(request))


async def _response(transport: httpx.AsyncBaseTransport, request: httpx.Request | Outgoing) -> httpx.Response:
    """Send ``request``; the response is for an authentication flow."""
    whole = _whole(request)
    response = await transport.handle_async_request(whole)
    response.request = whole
    return response


def _whole(request: httpx.Request | Outgoing) -> httpx.Request:
    return request.whole() if isinstance(request, Outgoing) else request


async def _follow(
    request: httpx.Request | Outgoing,
    connections: Connections,
    secret_headers: Collection[str],
    send: Callable[[httpx.AsyncBaseTransport, httpx.Request | Outgoing], Awaitable[_R]],
) -> _R:
    """Send ``request``, following 307 and 308; the response is unread, and a redirect when it led nowhere."""
    for hop in range(MAX_HOPS + 1):
        transport = await connections.get(request.url)
        try:
            response = await send(transport, request)
        except httpx.RequestError as error:
            error.request = _whole(request)
            raise
        if response.status_code not in REDIRECTS or hop == MAX_HOPS or request.extensions.get(STAY):
            break
        url = _target(request.url, httpx.Headers(response.headers).get("location"))
        if url is None:
            break
        await _read(response, ERROR_BODY_BYTES)
        headers = request.headers.copy()
        headers["Host"] = url.netloc.decode("ascii")
        if not connections.is_own(url):
            for name in ("Authorization", "Cookie", *secret_headers):
                headers.pop(name, None)
        request = httpx.Request(
            request.method, url, headers=headers, content=request.content, extensions=request.extensions
        )
    return response


def _target(url: httpx.URL, location: str | None) -> httpx.URL | None:
    """Return where a redirect leads, None when it cannot or must not be followed.

    From https to http it is not: whoever can forge that redirect would read the events.
    """
    if not location:
        return None
    try:
        target = url.join(location).copy_with(fragment=None, username=None, password=None)
    except (httpx.InvalidURL, ValueError):
        return None
    if target.scheme not in {"http", "https"} or not target.host:
        return None
    return None if url.scheme == "https" != target.scheme else target


async def _read(response: httpx.Response | Incoming, max_body_bytes: int) -> Reply:
    """Read the body and give the connection back; a body that is too long closes it.

    Only a 2XX needs its body whole. Of an error the status is enough: what arrived of its body before it was
    cut, or within a few seconds, is used for hints.
    """
    chunks: list[bytes] = []
    try:
        if response.is_success:
            complete = await _collect(response, chunks, max_body_bytes)
        else:
            complete = False
            with anyio.move_on_after(ERROR_BODY_SECONDS):
                try:
                    complete = await _collect(response, chunks, ERROR_BODY_BYTES)
                except (httpx.TransportError, httpx.DecodingError):
                    complete = False
    finally:
        await response.aclose()
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return Reply(status=response.status_code, headers=response.headers, body=body, complete=complete)


async def _collect(response: httpx.Response | Incoming, chunks: list[bytes], max_bytes: int) -> bool:
    """Append the decoded body to ``chunks``; False when it is longer than ``max_bytes``."""
    size = 0
    gunzip = Gunzip(or_zlib=True) if _encoding(response) in _ENCODINGS else None
    try:
        async for chunk in response if isinstance(response, Incoming) else response.aiter_raw():
            if size > max_bytes:
                continue
            for part in (chunk,) if gunzip is None else gunzip.feed(chunk):
                size += len(part)
                chunks.append(part)
                if size > max_bytes:
                    # Leaving the outer loop would leave its generators half run; without a connection they end.
                    await response.aclose()
                    break
    except httpx.TransportError:
        if size <= max_bytes:
            raise
    except GunzipError as error:
        raise httpx.DecodingError(str(error)) from error
    if gunzip is not None and size <= max_bytes and not gunzip.is_whole:
        raise httpx.DecodingError("its gzip data ends early")
    return size <= max_bytes


def _encoding(response: httpx.Response | Incoming) -> str:
    """Return how the body is encoded."""
    if isinstance(response, Incoming) and not any(name.lower() == b"content-encoding" for name, _ in response.headers):
        return ""
    found: str = httpx.Headers(response.headers).get("content-encoding", "")
    return found.strip().lower()
