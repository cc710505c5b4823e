"""A network that fails: a TCP proxy on loopback that refuses, resets, swallows and cuts, while it runs in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine

WAYS = ("refuse", "reset", "blackhole", "cut-request", "cut-answer")
_CHUNK = 1 << 16
_WAIT_SECONDS = 30.0


class Proxy:
    """Forwards to a local port; ``way`` says what goes wrong now, empty: nothing.

    refuse: nobody listens. reset: connections are reset, new ones as well. blackhole: nothing gets through, nobody is
    told; what was in it stays dead. cut-request: a reset in the middle of a request. cut-answer: the request gets
    through, its answer does not.
    """

    def __init__(self, upstream: int) -> None:
        """Forward to port ``upstream`` of loopback."""
        self.port = 0
        self._upstream = upstream
        self._way = ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection."""
        self.fail("refuse")
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_SECONDS)
        self._loop.close()

    def fail(self, way: str) -> None:
        """Let it go wrong in ``way`` from now on; empty: forward as it should."""
        self._call(self._become(way))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_SECONDS)

    async def _become(self, way: str) -> None:
        self._way = way
        if way == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        if way in ("refuse", "reset"):
            for writer in list(self._open):
                _reset(writer)
        if way != "refuse":
            await self._listen()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._way == "reset":
            _reset(writer)
            return
        self._open.add(writer)
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # the receiver is down
            self._open.discard(writer)
            _reset(writer)
            return
        self._open.add(forth)
        await asyncio.gather(
            self._pump(reader, forth, writer, "cut-request"), self._pump(back, writer, forth, "cut-answer")
        )
        self._open -= {writer, forth}

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, other: asyncio.StreamWriter, cut: str
    ) -> None:
        """Forward one direction until its end, or until it is cut."""
        lost = False
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                lost = lost or self._way == "blackhole"
                if lost:
                    continue
                if self._way == cut:
                    if cut == "cut-request":
                        target.write(data[: len(data) // 2])
                        await target.drain()
                    _reset(other)
                    break
                target.write(data)
                await target.drain()
        target.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
