"""HTTP/1.1 over kept-alive connections, for requests without a proxy: an ``httpx`` transport parsed in C.

It does what ``httpx.AsyncHTTPTransport`` does for an HTTP/1.1 POST with a body in memory, for a third of the CPU;
an agent spends most of its time right here.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, poll
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from agent.destinations.outgoing import Origin, Outgoing, header_lines, origin_of, start_line
from agent.destinations.response import HeadError, ResponseParser

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Iterator

    from anyio.abc import ByteStream

IDLE_SECONDS = 30.0
MAX_IDLE = 64
READ_BYTES = 64 * 1024
JOINED_BYTES = 64 * 1024


@dataclass(slots=True)
class _Connection:
    """One connection and what tells whether it still lives."""

    stream: ByteStream
    socket: socket.socket
    idle_since: float = 0.0

    def is_usable(self, now: float) -> bool:
        """Tell whether an idle connection can carry a request: something to read means the peer has closed it."""
        if now - self.idle_since > IDLE_SECONDS or self.socket.fileno() < 0:
            return False
        waiting = poll()
        waiting.register(self.socket, POLLIN | POLLHUP | POLLERR | POLLNVAL)
        return not waiting.poll(0)


class Http1(httpx.AsyncBaseTransport):
    """Sends requests to any origin; keeps connections open and uses the most recent one first."""

    def __init__(self, *, context: ssl.SSLContext | None, connect_timeout: float) -> None:
        """Keep the settings. ``context`` is needed for https; ``connect_timeout`` includes the handshake."""
        self._context = context
        self._connect_timeout = connect_timeout
        self._idle: dict[Origin, list[_Connection]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``, whose body is bytes, and return the response with its body unread.

        Raises ``httpx.TransportError``; a TLS failure is its cause.
        """
        incoming = await self.send(request)
        return httpx.Response(incoming.status_code, headers=incoming.headers, stream=incoming)

    async def send(self, request: httpx.Request | Outgoing) -> Incoming:
        """Do the same for a caller that needs no more of a response than ``Incoming`` has, at half the price."""
        if isinstance(request, Outgoing):
            head, origin = request.head, request.origin
        else:
            head, origin = _head(request), origin_of(request.url)
        connection = await self._connection(origin, request.url)
        try:
            await _send(connection.stream, head, request.content)
            parser = ResponseParser()
            while not parser.head_is_complete:
                await _feed(connection.stream, parser)
        except BaseException:
            await _abandon(connection)
            raise
        return Incoming(self, origin, connection, parser)

    async def aclose(self) -> None:
        """Close the idle connections; one that is in use is closed when its response is."""
        self._closed = True
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                await _abandon(connection)

    async def _connection(self, origin: Origin, url: httpx.URL) -> _Connection:
        """Return a connection to ``origin``, that of ``url``: an idle one when there is one that lives."""
        idle = self._idle.get(origin, [])
        now = time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.is_usable(now):
                return connection
            await _abandon(connection)
        return await self._connect(url)

    async def _connect(self, url: httpx.URL) -> _Connection:
        """Open a connection. The context's trust decides; names are checked against the URL's host."""
        secure = url.scheme == "https"
        host, port = url.raw_host.decode("ascii"), url.port or (443 if secure else 80)
        try:
            with anyio.fail_after(self._connect_timeout), _translated(httpx.ConnectError):
                stream: ByteStream = await anyio.connect_tcp(host, port)
                raw = await socket_of(stream)
                if secure:
                    stream = await self._handshake(stream, host)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection within {self._connect_timeout:g} s") from error
        return _Connection(stream=stream, socket=raw)

    async def _handshake(self, stream: ByteStream, host: str) -> ByteStream:
        """Return the TLS stream over ``stream``, which is closed when the handshake fails."""
        try:
            return await TLSStream.wrap(stream, hostname=host, ssl_context=self._context, standard_compatible=False)
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise

    def release(self, origin: Origin, connection: _Connection) -> bool:
        """Keep ``connection`` for the next request to ``origin``; False when there are enough."""
        idle = self._idle.setdefault(origin, [])
        if self._closed or len(idle) >= MAX_IDLE:
            return False
        connection.idle_since = time.monotonic()
        idle.append(connection)
        return True


class Incoming(httpx.AsyncByteStream):
    """One response with its body unread; closing it keeps the connection when the body was read to its end."""

    def __init__(self, transport: Http1, origin: Origin, connection: _Connection, parser: ResponseParser) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: _Connection | None = connection
        self._parser = parser
        self.status_code = parser.status
        self.headers = parser.headers

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2XX."""
        return 200 <= self.status_code < 300

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parser = self._parser
        while True:
            for chunk in parser.take():
                yield chunk
            if parser.is_complete:
                return
            if self._connection is None:
                raise httpx.ReadError("response closed before its end")
            await _feed(self._connection.stream, parser)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        reusable = self._parser.is_complete and self._parser.keep_alive
        if not (reusable and self._transport.release(self._origin, connection)):
            await _abandon(connection)


async def socket_of(stream: ByteStream) -> socket.socket:
    """Return the socket under ``stream``; raises ``BrokenResourceError`` when the peer has already reset it.

    An event loop may have taken the socket away from a stream that is over, and anyio asks it for its addresses.
    """
    try:
        return stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, not Django's
    except (AttributeError, OSError, anyio.TypedAttributeLookupError) as error:
        await anyio.aclose_forcefully(stream)
        raise anyio.BrokenResourceError("reset by the peer at once") from error


def _head(request: httpx.Request) -> bytes:
    """Return the request's head."""
    return start_line(request.method, request.url) + header_lines(request.headers) + b"\r\n"


async def _send(stream: ByteStream, head: bytes, body: bytes) -> None:
    """Send a request. A peer that stops listening may have answered already (413), so that is no error yet."""
    try:
        if len(body) <= JOINED_BYTES:
            await stream.send(head + body)
        else:
            await stream.send(head)
            await stream.send(body)
    except (anyio.BrokenResourceError, OSError):
        return


async def _feed(stream: ByteStream, parser: ResponseParser) -> None:
    """Read once from ``stream`` into ``parser``."""
    with _translated(httpx.ReadError):
        try:
            data = await stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            data = b""
    try:
        parser.feed(data)
    except HeadError as error:
        raise httpx.RemoteProtocolError(str(error)) from error


async def _abandon(connection: _Connection) -> None:
    """Close a connection without waiting for the peer; also while the attempt is being cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.aclose_forcefully(connection.stream)


@contextmanager
def _translated(to: type[httpx.TransportError]) -> Iterator[None]:
    """Raise ``to`` for whatever a socket and its TLS may raise."""
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream) as error:
        raise to(str(error)) from error
