"""A request's body, read within limits: how large, how slow, how far it may expand."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import anyio
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

    from agent.collector.app import Settings

_GZIP = 31


class BodyError(Exception):
    """The body cannot be taken; carries the HTTP status and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_body(request: Request, settings: Settings) -> bytes:
    """Return the body, decompressed. Raises ``BodyError`` (408, 413, 415, 400)."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise BodyError(415, f"Content-Encoding {encoding!r}; allowed: gzip, identity")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > settings.max_body_bytes:
        raise BodyError(413, f"body of {declared} bytes; allowed: at most {settings.max_body_bytes}")
    inflate = zlib.decompressobj(_GZIP) if encoding in ("gzip", "x-gzip") else None
    parts: list[bytes] = []
    received = size = 0
    try:
        with anyio.fail_after(settings.body_timeout_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > settings.max_body_bytes:
                    raise BodyError(413, f"body larger than {settings.max_body_bytes} bytes")
                part = _expand(inflate, chunk, settings.max_expanded_bytes - size) if inflate else chunk
                size += len(part)
                parts.append(part)
    except TimeoutError as error:
        raise BodyError(408, f"body not received within {settings.body_timeout_seconds:g} s") from error
    except ClientDisconnect as error:
        raise BodyError(400, "the client went away") from error
    except zlib.error as error:
        raise BodyError(400, f"not gzip: {error}") from error
    if inflate and not inflate.eof:
        raise BodyError(400, "gzip data ends early")
    return b"".join(parts)


def _expand(inflate: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    # One byte more than there is room for tells a bomb from a body that just fits.
    part = inflate.decompress(chunk, room + 1)
    if len(part) > room or inflate.unconsumed_tail:
        raise BodyError(413, "body expands to more than is allowed")
    if inflate.unused_data:
        raise BodyError(400, "data after the end of the gzip stream")
    return part
