"""A request's body, read within limits: how large, how slow, how far it may expand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
from starlette.requests import ClientDisconnect

from agent.gunzip import Gunzip, GunzipError
from agent.receive.limits import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

_READ_ON = 4
"""A refused body is read up to this many times the limit."""


class Allowed(Protocol):
    """What a body may be."""

    @property
    def max_body_bytes(self) -> int:
        """As received."""
        ...

    @property
    def max_expanded_bytes(self) -> int:
        """Of a compressed body."""
        ...

    @property
    def body_timeout_seconds(self) -> float:
        """From the first byte to the last."""
        ...


class BodyError(Exception):
    """The body cannot be taken; carries the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_body(request: Request, settings: Allowed, *, take: Callable[[int], None]) -> bytes:
    """Return the body, decompressed; ``take`` is told of each part's size before it is kept.

    A refused body is read on, within limits: a client that still sends when the connection is closed may see only
    that, never the answer that would help it. Raises ``BodyError`` (408, 413, 415, 400) and what ``take`` raises.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BodyError(415, f"Content-Encoding {encoding!r}; allowed: gzip, identity")
    gunzip = Gunzip() if encoding in ("gzip", "x-gzip") else None
    refused: BodyError | OverloadedError | None = _declared(request, settings)
    parts: list[bytes] = []
    received = size = 0
    try:
        with anyio.fail_after(settings.body_timeout_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if refused:
                    if received > _READ_ON * settings.max_body_bytes:
                        break
                    continue
                try:
                    for part in _parts(gunzip, chunk, received, size, settings):
                        take(len(part))
                        size += len(part)
                        parts.append(part)
                except (BodyError, OverloadedError) as error:
                    refused = error
                    take(-size)
                    parts.clear()
    except TimeoutError as error:
        raise refused or BodyError(408, f"body not received within {settings.body_timeout_seconds:g} s") from error
    except ClientDisconnect as error:
        raise BodyError(400, "the client went away") from error
    if refused:
        raise refused
    if gunzip and not gunzip.is_whole:
        raise BodyError(400, "gzip data ends early")
    return b"".join(parts)


def _declared(request: Request, settings: Allowed) -> BodyError | None:
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or int(declared) <= settings.max_body_bytes:
        return None
    error = BodyError(413, f"body of {declared} bytes; allowed: at most {settings.max_body_bytes}")
    if "expect" in request.headers:
        raise error  # this client has asked before sending
    return error


def _parts(gunzip: Gunzip | None, chunk: bytes, received: int, size: int, settings: Allowed) -> Iterator[bytes]:
    if received > settings.max_body_bytes:
        raise BodyError(413, f"body larger than {settings.max_body_bytes} bytes")
    if gunzip is None:
        yield chunk
        return
    try:
        for part in gunzip.feed(chunk):
            size += len(part)
            if size > settings.max_expanded_bytes:
                raise BodyError(413, f"body expands to more than {settings.max_expanded_bytes} bytes")
            yield part
    except GunzipError as error:
        raise BodyError(400, str(error)) from error
