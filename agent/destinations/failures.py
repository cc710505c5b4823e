"""An exception of an attempt → why its events are pending (WIRE 4.3, last row). httpx's errors end here."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING

import httpx

from agent.destinations.base import Failure, Kind
from agent.destinations.text import one_line, shown
from agent.destinations.tls import TlsError
from agent.errors import SecretError, TokenError

if TYPE_CHECKING:
    from collections.abc import Iterator

CAUGHT = (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError, TlsError, SecretError, TokenError)
"""What an attempt may meet outside this program; everything else is a mistake of ours."""

_WHAT = (
    (httpx.ConnectError, "cannot connect"),
    (httpx.TimeoutException, "cannot connect"),
    (httpx.NetworkError, "connection lost"),
    (httpx.RemoteProtocolError, "no valid answer"),
    (httpx.DecodingError, "an answer that cannot be decompressed"),
)

# A peer that goes away during a handshake is restarting more often than misconfigured. "Want read" is how the
# library waits; it stands behind whatever then ended the waiting.
_NO_VERDICT = (
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)


def failure(error: BaseException, *, origin: str) -> Failure:
    """Return what ``error`` means for the events of the attempt; nothing counts as sent."""
    if isinstance(error, TokenError):
        kind = Kind.NOT_NOW if error.temporary else Kind.DESTINATION
        return Failure(kind=kind, reason=one_line(str(error)), retry_after_seconds=error.retry_after_seconds)
    origin = _asked(error) or origin
    if isinstance(error, TlsError | SecretError):
        return Failure(kind=Kind.DESTINATION, reason=one_line(str(error)))
    if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        reason = f"{origin}: request cannot be built ({type(error).__name__})"
        return Failure(kind=Kind.DESTINATION, reason=reason)
    if isinstance(error, httpx.ProxyError):
        return _proxy(error, origin)
    if broken := is_tls(error):
        return Failure(kind=Kind.DESTINATION, reason=one_line(f"{origin}: TLS failed: {_tls_reason(broken)}"))
    return Failure(kind=Kind.NOT_NOW, reason=one_line(f"{origin}: {_words(error)}"))


def _asked(error: BaseException) -> str | None:
    """Return the origin of the request that failed, which may be a redirect's target or an issuer of tokens."""
    if not isinstance(error, httpx.RequestError):
        return None
    try:
        url = error.request.url
    except RuntimeError:  # not told
        return None
    return shown(url)


def is_tls(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error behind ``error`` when the handshake, not the connection, is what failed."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _NO_VERDICT):
            return cause
    return None


def _proxy(error: httpx.ProxyError, origin: str) -> Failure:
    """Judge a proxy's refusal by the status its message starts with, as far as it has one."""
    match = re.match(r"4\d\d", str(error))
    temporary = match is None or match[0] in {"408", "425", "429"}
    kind = Kind.NOT_NOW if temporary else Kind.DESTINATION
    return Failure(kind=kind, reason=one_line(f"{origin}: proxy refused: {error}"))


def _tls_reason(error: ssl.SSLError) -> str:
    """Return what operators can act on: the verification's message, or the library's reason."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted ({error.verify_message})"
    return (error.reason or str(error)).lower().replace("_", " ")


def _words(error: BaseException) -> str:
    """Return what failed and the operating system's words for it, where it has some."""
    what = next((words for kind, words in _WHAT if isinstance(error, kind)), type(error).__name__)
    for cause in reversed(list(_chain(error))):
        if isinstance(cause, OSError) and cause.errno:
            known = cause.errno in errno.errorcode and not isinstance(cause, socket.gaierror)
            return f"{what}: {os.strerror(cause.errno) if known else cause.strerror}"
    return f"{what}: {error}" if str(error) else what


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and what caused it, also the members of groups."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [e for e in (current.__context__, current.__cause__) if e is not None]
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
