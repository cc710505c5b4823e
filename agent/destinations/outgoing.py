"""The requests of one webhook: the same but for their bodies, so that all else is put together once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

Origin = tuple[str, str, int | None]
"""Scheme, host, port: what connections are kept by."""

_FORBIDDEN = frozenset(b"\r\n\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One POST. Has what is used here of an ``httpx.Request``, without the price of making one."""

    url: httpx.URL
    headers: httpx.Headers
    """Those every request has; the length of the body is not among them. Shared, so not to be changed."""
    extensions: dict[str, Any]
    content: bytes
    origin: Origin
    start: bytes
    """The head but for the length of the body."""
    method: str = "POST"

    @property
    def head(self) -> bytes:
        """The bytes before the body."""
        return b"%bContent-Length: %d\r\n\r\n" % (self.start, len(self.content))

    def whole(self) -> httpx.Request:
        """Return the same as an ``httpx.Request``."""
        return httpx.Request(
            self.method, self.url, headers=self.headers, content=self.content, extensions=self.extensions
        )


class Form:
    """What all requests to one URL share."""

    def __init__(self, url: httpx.URL, headers: httpx.Headers, extensions: Mapping[str, Any]) -> None:
        """Keep the parts. Raises ``httpx.LocalProtocolError`` for a header that would break out of its line."""
        self._url = url
        self._headers = headers
        self._extensions = dict(extensions)
        self._origin = origin_of(url)
        self._start = start_line("POST", url) + header_lines(headers)

    def filled(self, content: bytes) -> Outgoing:
        """Return the request with the body ``content``."""
        return Outgoing(
            url=self._url,
            headers=self._headers,
            extensions=self._extensions,
            content=content,
            origin=self._origin,
            start=self._start,
        )


def origin_of(url: httpx.URL) -> Origin:
    """Return what connections to ``url`` are kept by."""
    return url.scheme, url.host, url.port


def start_line(method: str, url: httpx.URL) -> bytes:
    """Return the first line of a request."""
    return b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), url.raw_path)


def header_lines(headers: httpx.Headers) -> bytes:
    """Return the lines of ``headers``. Raises ``httpx.LocalProtocolError`` where one would break out of its line."""
    lines = []
    for name, value in headers.raw:
        if not _FORBIDDEN.isdisjoint(name) or not _FORBIDDEN.isdisjoint(value):
            raise httpx.LocalProtocolError("a header has characters it cannot have")
        lines.append(b"%b: %b\r\n" % (name, value))
    return b"".join(lines)
