"""The connections of one webhook: kept alive, opened when needed, opened anew after a TLS failure."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio import to_thread

from agent.destinations import tls
from agent.destinations.http1 import Http1
from agent.destinations.proxies import proxy_for

if TYPE_CHECKING:
    from agent.config.model import Delivery

LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0)

_Key = tuple[str, str | None, bool]


class Connections:
    """Gives the transport for a URL. With ``transport`` given, it is that one for every URL (tests)."""

    def __init__(
        self, delivery: Delivery, location: httpx.URL, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Keep the settings; nothing is opened and no file is read."""
        self._delivery = delivery
        self._location = location
        self._origin = origin(location)
        self._given = transport
        self._own: httpx.AsyncBaseTransport | None = transport
        self._open: dict[_Key, httpx.AsyncBaseTransport] = {}
        self._lock: anyio.Lock | None = None

    def is_own(self, url: httpx.URL) -> bool:
        """Tell whether ``url`` has the origin of the location, so that credentials may go there."""
        return origin(url) == self._origin

    async def get(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        """Return the transport for ``url``. May raise ``TlsError`` or ``SecretError``."""
        if self._own is not None and (url is self._location or self._given is not None or self.is_own(url)):
            return self._own
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            own = self.is_own(url)
            # Bounded: two schemes, the environment's proxies, own or not.
            key = (url.scheme, proxy_for(url, self._delivery), own)
            if key not in self._open:
                self._open[key] = await self._make(*key)
            if own:
                self._own = self._open[key]
            return self._open[key]

    async def reset(self) -> None:
        """Close everything, so that the next request reads the certificate files again."""
        old, self._open, self._own = self._open, {}, self._given
        for transport in old.values():
            await transport.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.reset()
        if self._given is not None:
            await self._given.aclose()

    async def _make(self, scheme: str, proxy: str | None, own: bool) -> httpx.AsyncBaseTransport:
        """Return a new transport; through a proxy httpx's own, which knows about tunnels."""
        context = None
        if scheme == "https":
            context = await to_thread.run_sync(_context, self._delivery, own)
        if proxy is None:
            return Http1(context=context, connect_timeout=self._delivery.connect_timeout)
        # With plain http the context is not used, verifies, and trusts nobody.
        verify = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=LIMITS, proxy=proxy)


def _context(delivery: Delivery, own: bool) -> ssl.SSLContext:
    """Build the context in a worker thread: a system's trust store is hundreds of files."""
    return tls.context(delivery.tls, present_certificate=own)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port; the default port is the same as none."""
    default = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.host, url.port or default
