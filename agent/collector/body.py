"""A request's body, read within limits: how large, how slow, how far it may expand."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect

from agent.collector.limits import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from agent.collector.app import Settings

_GZIP = 31
_READ_ON = 4
"""A refused body is read up to this many times the limit."""


class BodyError(Exception):
    """The body cannot be taken; carries the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_body(request: Request, settings: Settings, *, take: Callable[[int], None]) -> bytes:
    """Return the body, decompressed; ``take`` is told of each part's size before it is kept.

    A refused body is read on, within limits: a client that still sends when the connection is closed may see only
    that, never the answer that would help it. Raises ``BodyError`` (408, 413, 415, 400) and what ``take`` raises.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BodyError(415, f"Content-Encoding {encoding!r}; allowed: gzip, identity")
    inflate = zlib.decompressobj(_GZIP) if encoding in ("gzip", "x-gzip") else None
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
                    part = _part(inflate, chunk, received, size, settings)
                    take(len(part))
                except (BodyError, OverloadedError) as error:
                    refused = error
                    take(-size)
                    parts.clear()
                else:
                    size += len(part)
                    parts.append(part)
    except TimeoutError as error:
        raise refused or BodyError(408, f"body not received within {settings.body_timeout_seconds:g} s") from error
    except ClientDisconnect as error:
        raise BodyError(400, "the client went away") from error
    if refused:
        raise refused
    if inflate and not inflate.eof:
        raise BodyError(400, "gzip data ends early")
    return b"".join(parts)


def _declared(request: Request, settings: Settings) -> BodyError | None:
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or int(declared) <= settings.max_body_bytes:
        return None
    error = BodyError(413, f"body of {declared} bytes; allowed: at most {settings.max_body_bytes}")
    if "expect" in request.headers:
        raise error  # this client has asked before sending
    return error


def _part(inflate: zlib._Decompress | None, chunk: bytes, received: int, size: int, settings: Settings) -> bytes:
    if received > settings.max_body_bytes:
        raise BodyError(413, f"body larger than {settings.max_body_bytes} bytes")
    if inflate is None:
        return chunk
    try:
        return _expand(inflate, chunk, settings.max_expanded_bytes - size)
    except zlib.error as error:
        raise BodyError(400, f"not gzip: {error}") from error


def _expand(inflate: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    # One byte more than there is room for tells a bomb from a body that just fits.
    part = inflate.decompress(chunk, room + 1)
    if len(part) > room or inflate.unconsumed_tail:
        raise BodyError(413, "body expands to more than is allowed")
    if inflate.unused_data:
        raise BodyError(400, "data after the end of the gzip stream")
    return part
