"""Can a destination be reached now? Sends no event, creates no file."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio import to_thread

from agent.destinations import tls
from agent.destinations.location import parse
from agent.destinations.proxies import proxy_for
from agent.errors import SecretError

if TYPE_CHECKING:
    from agent.config.model import DestinationConfig

_PORTS = {"http": 80, "https": 443}


async def probe(config: DestinationConfig) -> str | None:
    """Return why ``config`` cannot be reached, None when it can.

    A URL is resolved and connected to, with a TLS handshake for https; behind a proxy, the proxy is. A file must be
    writable, or its nearest existing folder must be.
    """
    try:
        if config.destination_type == "file":
            return await to_thread.run_sync(_unwritable, parse(config.location).path)
        with anyio.fail_after(config.delivery.connect_timeout):
            await _connect(config)
    except TimeoutError:
        return f"no answer within {config.delivery.connect_timeout:g} s"
    except (OSError, tls.TlsError, SecretError) as error:
        return _words(error)
    return None


async def _connect(config: DestinationConfig) -> None:
    location = httpx.URL(config.location)
    proxy = proxy_for(location, config.delivery)
    peer = httpx.URL(proxy) if proxy else location
    port = peer.port or _PORTS.get(peer.scheme, 80)
    if peer.scheme != "https":
        await (await anyio.connect_tcp(peer.host, port)).aclose()
        return
    context = await to_thread.run_sync(lambda: tls.context(config.delivery.tls))
    # HTTP servers end a connection without a TLS goodbye more often than not.
    secured = await anyio.connect_tcp(peer.host, port, ssl_context=context, tls_standard_compatible=False)
    await secured.aclose()


def _unwritable(path: str) -> str | None:
    place = Path(path).absolute()
    if place.exists():
        if not place.is_file():
            return f"{place} is not a regular file"
        return None if os.access(place, os.W_OK) else f"{place} is not writable"
    folder = next(parent for parent in place.parents if parent.exists())
    if not folder.is_dir():
        return f"{folder} is not a directory"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable"


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: certificate not trusted ({error.verify_message})"
    if isinstance(error, OSError):
        cause = error.__cause__
        if isinstance(cause, BaseExceptionGroup):
            return "; ".join(dict.fromkeys(_words(e) for e in cause.exceptions if isinstance(e, Exception)))
        if isinstance(cause, OSError):
            return _words(cause)
        # asyncio puts the address where the system's words stand.
        known = error.errno if error.errno and not isinstance(error, socket.gaierror | ssl.SSLError) else 0
        return os.strerror(known) if known > 0 else error.strerror or str(error)
    return str(error)
