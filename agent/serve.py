"""Serves an ASGI application from inside a running program; the one place that knows the web server."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import stat
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agent.errors import AgentError
from agent.loopback import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_POLL_SECONDS = 0.005
_BACKLOG = 1024
_HEAD_BYTES = 64 << 10


class _Server(uvicorn.Server):
    """A server that leaves signals to the program it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """Connections that send no complete head of a request are not kept for ever, nor heads of any size."""

    _in_head = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, head_seconds: float, **named: Any) -> None:  # noqa: ANN401 # the server's
        super().__init__(*arguments, **named)
        self._head_seconds = head_seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")
        # The server ends its own keep-alive timer when anything comes, be it no request.
        cycle: RequestResponseCycle | None = self.cycle
        waiting = cycle is None or cycle.response_complete
        if waiting and self._timer is None and self.timeout_keep_alive_task is None:
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        # The server would answer in plain text; a client of an API reads the same shape whatever is wrong.
        body = json.dumps({"error_code": "request", "error_message": msg}).encode()
        lines = ("HTTP/1.1 400 Bad Request", "content-type: application/json", f"content-length: {len(body)}")
        self.transport.write("\r\n".join((*lines, "connection: close", "", "")).encode() + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._head_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@asynccontextmanager
async def serving(
    app: Any,  # noqa: ANN401 # an ASGI application
    *,
    listen: str,
    tls: tuple[str, str] | None = None,
    grace_seconds: float = 5,
    head_seconds: float = 20,
) -> AsyncIterator[str]:
    """Serve ``app`` on ``HOST:PORT`` or ``unix:/path.sock`` while the block runs; yields the URL.

    Port 0 is a free one. Leaving the block stops accepting, and ends requests under way within the grace.
    A connection is closed that takes longer than ``head_seconds`` to begin a request.
    Raises ``AgentError`` when the address cannot be had.
    """
    bound = _bind(listen)
    config = uvicorn.Config(
        _cut_short(app),
        http=partial(_Protocol, head_seconds=head_seconds),  # type: ignore[arg-type] # called, no more
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace_seconds)),
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    try:
        config.load()
    except OSError as error:
        bound.close()
        raise AgentError(f"TLS certificate or key: {error}") from error
    server = _Server(config)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [bound])
            while not server.started:  # noqa: ASYNC110 # the server has no event to wait for
                await anyio.sleep(_POLL_SECONDS)
            try:
                yield _url(bound, listen, tls=tls is not None)
            finally:
                server.should_exit = True
    finally:
        bound.close()
        _unlink(listen)


def _cut_short(app: Any) -> Any:  # noqa: ANN401 # ASGI applications
    """Return ``app``, which answers 503 where its work is cancelled because the grace is over."""
    headers = [(b"content-length", b"0"), (b"connection", b"close"), (b"retry-after", b"5")]

    async def served(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has them
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            # Swallowed: the server cancels nothing but what is left at its end, and would log it as a crash.
            with suppress(RuntimeError):  # an answer has begun
                await send({"type": "http.response.start", "status": 503, "headers": headers})
                await send({"type": "http.response.body"})

    return served


def _unlink(listen: str) -> None:
    if listen.startswith("unix:"):
        Path(listen.removeprefix("unix:")).unlink(missing_ok=True)


def split_listen(listen: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, brackets taken off; raises ``AgentError``."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise AgentError(f"found {listen!r}; allowed: HOST:PORT or unix:/path.sock")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(listen: str) -> bool:
    """Tell whether only this machine can reach the address."""
    if listen.startswith("unix:"):
        return True
    return is_loopback_host(split_listen(listen)[0])


class AddressInUse(OSError):  # noqa: N818 # a state that passes, not a failure
    """Somebody listens there."""


def try_listening(listen: str) -> None:
    """Return when ``listen`` could be had now, leaving nothing behind.

    Raises ``AddressInUse`` while somebody listens there, and ``OSError`` for what else is in the way.
    """
    if listen.startswith("unix:"):
        _try_unix(Path(listen.removeprefix("unix:")))
        return
    try:
        _bind_tcp(listen).close()
    except OSError as error:
        raise AddressInUse(error.errno, error.strerror) if error.errno == errno.EADDRINUSE else error from None


def _try_unix(path: Path) -> None:
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise AddressInUse(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    elif path.exists():
        raise FileExistsError(errno.EEXIST, f"{path} is no socket")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"{path.parent} is no folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{path.parent} is not writable")


def _bind(listen: str) -> socket.socket:
    try:
        return _bind_unix(listen.removeprefix("unix:")) if listen.startswith("unix:") else _bind_tcp(listen)
    except OSError as error:
        raise AgentError(f"cannot listen on {listen}: {error.strerror or error}") from error


def _bind_tcp(listen: str) -> socket.socket:
    host, port = split_listen(listen)
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_unix(path: str) -> socket.socket:
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        Path(path).chmod(0o660)
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _remove_stale(path: str) -> None:
    """Remove a socket that a process which died has left; one that answers is somebody's."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 # a plain stat
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)


def _url(bound: socket.socket, listen: str, *, tls: bool) -> str:
    if listen.startswith("unix:"):
        return listen
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"
