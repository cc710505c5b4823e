"""Serves an ASGI application from inside a running program; the one place that knows the web server."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn

from agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_POLL_SECONDS = 0.005
_BACKLOG = 1024


class _Server(uvicorn.Server):
    """A server that leaves signals to the program it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: Any,  # noqa: ANN401 # an ASGI application
    *,
    listen: str,
    tls: tuple[str, str] | None = None,
    grace_seconds: float = 5,
) -> AsyncIterator[str]:
    """Serve ``app`` on ``HOST:PORT`` or ``unix:/path.sock`` while the block runs; yields the URL.

    Port 0 is a free one. Leaving the block stops accepting, and ends requests under way within the grace.
    Raises ``AgentError`` when the address cannot be had.
    """
    bound = _bind(listen)
    config = uvicorn.Config(
        app,
        http="httptools",
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


def _unlink(listen: str) -> None:
    if listen.startswith("unix:"):
        Path(listen.removeprefix("unix:")).unlink(missing_ok=True)


def split_listen(listen: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, brackets taken off; raises ``AgentError``."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise AgentError(f"found {listen!r}; allowed: HOST:PORT or unix:/path.sock")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(listen: str) -> bool:
    """Tell whether only this machine can reach the address."""
    if listen.startswith("unix:"):
        return True
    host = split_listen(listen)[0]
    return host in ("localhost", "::1") or host.startswith("127.")


def _bind(listen: str) -> socket.socket:
    try:
        if listen.startswith("unix:"):
            return _bind_unix(listen.removeprefix("unix:"))
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
    except OSError as error:
        raise AgentError(f"cannot listen on {listen}: {error.strerror or error}") from error
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
        except OSError:
            Path(path).unlink(missing_ok=True)


def _url(bound: socket.socket, listen: str, *, tls: bool) -> str:
    if listen.startswith("unix:"):
        return listen
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"
