"""Destination ``webhook``: one POST for each transaction (WIRE 4, 5.2)."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio import to_thread

from agent import __version__, auth
from agent.destinations import failures, proxies, tls
from agent.destinations.base import Answer, Failure, Kind, all_pending
from agent.destinations.connections import Connections
from agent.destinations.exchange import exchange
from agent.destinations.outgoing import Form, Outgoing
from agent.destinations.text import shown
from agent.destinations.verdict import judge
from agent.encoders import FORMATS
from agent.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.model import DestinationConfig
    from agent.events import Transaction

MAX_BODY_BYTES = 8 * 1024 * 1024
"""How long an answer may be; one that echoes a large request may be four times that request."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_RESERVED = frozenset(
    {"connection", "content-encoding", "content-length", "host", "transfer-encoding", "authorization"}
)


class Webhook:
    """Posts transactions to ``location``. Nothing is opened before the first attempt."""

    def __init__(
        self,
        config: DestinationConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep what ``config`` says; ``problems`` must have found nothing in it."""
        delivery = config.delivery
        self._delivery = delivery
        self._url = httpx.URL(config.location).copy_with(fragment=None)
        self._origin = shown(self._url)
        self._encode = FORMATS[config.webhook_settings.format]
        self._auth = auth.build(config.authentication)
        self._connections = Connections(delivery, self._url, transport=transport)
        self._form: Form | None = None
        self._extensions = {"timeout": {"connect": delivery.connect_timeout}}
        self._now = now

    def __repr__(self) -> str:
        """Show where it sends, without the path and query that may hold a key."""
        return f"Webhook({self._origin})"

    async def attempt(self, transaction: Transaction) -> Answer:
        """Post ``transaction`` once: one immediate repetition after a 401 or 403 and redirects included."""
        body = self._encode(transaction)
        try:
            with anyio.fail_after(self._delivery.timeout):
                request = await self._request(body)
                reply = await exchange(
                    request,
                    auth=self._auth,
                    connections=self._connections,
                    secret_headers=self._delivery.headers,
                    max_body_bytes=max(MAX_BODY_BYTES, 4 * len(body)),
                )
        except TimeoutError:
            reason = f"{self._origin}: no answer within {self._delivery.timeout:g} s"
            return all_pending(transaction, Failure(kind=Kind.NOT_NOW, reason=reason))
        except failures.CAUGHT as error:
            if failures.is_tls(error):
                await self._connections.reset()
            return all_pending(transaction, failures.failure(error, origin=self._origin))
        if reply.status in {401, 403}:
            self._form = None  # an extra header may be the key that was refused: look it up again
        cap = self._delivery.retry.max_retry_after
        return judge(transaction, reply, origin=self._origin, now=self._now(), cap=cap)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def _request(self, body: bytes) -> Outgoing:
        """Return the request for ``body``, compressed if so configured. Raises ``SecretError``."""
        if self._delivery.gzip:
            body = await to_thread.run_sync(_gzip, body)
        if self._form is None:
            self._form = Form(self._url, self._make_headers(), self._extensions)
        return self._form.filled(body)

    def _make_headers(self) -> httpx.Headers:
        """Return the headers every request has; the extra ones may replace those of the agent."""
        headers = httpx.Headers(
            {
                "Host": self._url.netloc.decode("ascii"),
                "User-Agent": f"audit-agent/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
            }
        )
        if self._delivery.gzip:
            headers["Content-Encoding"] = "gzip"
        for name, secret in self._delivery.headers.items():
            value = secret.reveal().strip()
            if not value.isprintable():
                raise SecretError(f"delivery.headers.{name} has characters a header cannot have")
            headers[name] = value
        return headers


def _gzip(body: bytes) -> bytes:
    """Compress at the level where CPU still buys size; no time stamp, so equal bodies stay equal."""
    packer = zlib.compressobj(level=4, wbits=31)
    return packer.compress(body) + packer.flush()


def problems(config: DestinationConfig) -> list[tuple[str, str, str]]:
    """Return the mistakes of a webhook: key, what was found, what is allowed. Reads the files of ``tls``."""
    found = _location_problems(config.location)
    if config.webhook_settings.format not in FORMATS:
        found.append(("webhook_settings.format", repr(config.webhook_settings.format), ", ".join(FORMATS)))
    found += [(f"authentication.{key}", what, allowed) for key, what, allowed in auth.problems(config.authentication)]
    found += proxies.problems(config.delivery)
    found += tls.problems(config.delivery.tls)
    for name in config.delivery.headers:
        if not _NAME.fullmatch(name) or name.lower() in _RESERVED:
            found.append(("delivery.headers", repr(name), "a header name the agent does not set itself"))
    return found


def _location_problems(location: str) -> list[tuple[str, str, str]]:
    """Return what is wrong with ``location``; passwords in it are not repeated."""
    allowed = "http://HOST[:PORT][/PATH] or https://…"
    try:
        url = httpx.URL(location)
    except (httpx.InvalidURL, ValueError):
        return [("location", "no URL", allowed)]
    if url.scheme not in {"http", "https"}:
        return [("location", f"scheme {url.scheme!r}", allowed)]
    if not url.host:
        return [("location", f"{url.scheme} without a host", allowed)]
    if url.port is not None and not 0 < url.port <= 65535:
        return [("location", f"port {url.port}", f"{allowed}, with a port of 1 to 65535")]
    if url.userinfo:
        return [("location", "user and password in the URL", f"{allowed}, and authentication: http_basic")]
    return []


def warnings(config: DestinationConfig) -> list[tuple[str, str, str]]:
    """Return what works and should not be: credentials over plain http, certificates not verified."""
    found = []
    secret = config.authentication.authentication_type != "none" or config.delivery.headers
    if secret and config.location.lower().startswith("http:"):
        found.append(("location", "credentials over plain http", "https"))
    if not config.delivery.tls.verify:
        found.append(("delivery.tls.verify", "false: any certificate is accepted", "true, with ca_file"))
    return found
