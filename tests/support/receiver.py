"""A scriptable HTTP(S) receiver on a real loopback socket, for sync tests, async tests and agent processes.

It runs its own event loop in a thread::

    with Receiver() as receiver:                        # answers 201 to everything
        receiver.script(Reply(429, headers={"Retry-After": "2"}), Reply(503))   # then 201 again
        ...
        assert receiver.ids() == {...}

``receiver.answer = f`` decides by request instead: ``f(request) -> Reply``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl

GENEROUS_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived; ``body`` is decompressed."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """``time.monotonic()`` when it was complete."""
    connection: int
    """Number of the connection it came on."""
    peer_certificate: Mapping[str, Any] | None = None

    def events(self) -> list[dict[str, Any]]:
        """Return the envelopes of the request."""
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found

    def ids(self) -> list[str]:
        """Return the ``unique_id`` of each envelope, in order."""
        return [event["unique_id"] for event in self.events()]


@dataclass(frozen=True)
class Reply:
    """What to answer, and how badly."""

    status: int = 201
    body: bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict)
    delay_seconds: float = 0.0
    hang: bool = False
    """Never answer; the connection stays open until the client leaves."""
    cut: bool = False
    """Close the connection in the middle of the response (without a body: in the middle of its head)."""
    drop: bool = False
    """Close the connection without a byte."""
    garbage: bytes | None = None
    """Sent instead of a response; then the connection is closed."""
    repeat_body: int = 1
    """How many times the body is sent, as one body."""
    trickle_seconds: float = 0.0
    """Pause before each byte of the body."""


def processed(
    success: Sequence[Any] = (), discard: Sequence[Any] = (), retry: Sequence[Any] = (), **hints: Any
) -> dict[str, Any]:
    """Return an AuditWebhookEventsProcessed. Entries: an id, ``(id, status)``, ``(id, status, message)``, or a dict."""

    def entry(value: Any, status: str) -> Any:
        if isinstance(value, str):
            return {"unique_id": value, "status": status}
        if isinstance(value, tuple):
            return dict(zip(("unique_id", "status", "status_message"), value, strict=False))
        return value

    return {
        "success_events": [entry(v, "success") for v in success],
        "discard_events": [entry(v, "invalid") for v in discard],
        "retry_events": [entry(v, "unprocessed") for v in retry],
        **hints,
    }


class Receiver:
    """The receiver; ``answer`` decides each reply unless replies are scripted. Thread-safe to read."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, answer: Callable[[Request], Reply] | None = None) -> None:
        self.answer = answer or (lambda _: Reply())
        self.requests: list[Request] = []
        """Every request that arrived whole, in order of arrival."""
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._script: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GENEROUS_SECONDS)
        self._loop.close()

    @property
    def url(self) -> str:
        """The location for a destination."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def script(self, *replies: Reply) -> None:
        """Give the next requests these replies, before ``answer`` is asked again."""
        self._script.extend(replies)

    def refuse(self) -> None:
        """Stop listening and cut every connection; the port stays the receiver's for ``accept``."""
        self._call(self._stop())

    def accept(self) -> None:
        """Listen (again)."""
        self._call(self._start())

    def ids(self) -> Counter[str]:
        """Return how often each ``unique_id`` arrived, over all requests that were whole."""
        return Counter(unique_id for request in list(self.requests) for unique_id in request.ids())

    def events(self) -> list[dict[str, Any]]:
        """Return every envelope that arrived, in order of arrival."""
        return [event for request in list(self.requests) for event in request.events()]

    def wait_until(self, condition: Callable[[Receiver], bool], seconds: float = GENEROUS_SECONDS) -> None:
        """Wait in this thread until ``condition(self)``; it is looked at after each request."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), seconds):
                raise AssertionError(f"not within {seconds} s; {len(self.requests)} requests arrived")

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(GENEROUS_SECONDS)

    async def _start(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=1 << 20)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while request := await self._receive(reader, writer, number):
                if not await self._respond(self._record(request), writer):
                    break
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Request(
            method=method,
            target=target,
            headers=headers,
            body=body,
            at=time.monotonic(),
            connection=number,
            peer_certificate=writer.get_extra_info("peercert"),
        )

    def _record(self, request: Request) -> Reply:
        reply = self._script.popleft() if self._script else self.answer(request)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return reply

    async def _respond(self, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        """Send ``reply``; False when the connection is over."""
        await asyncio.sleep(reply.delay_seconds)
        if reply.hang:
            await asyncio.sleep(3600)
        if reply.drop:
            return False
        if reply.garbage is not None:
            writer.write(reply.garbage)
            await writer.drain()
            return False
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        head = _head(reply, len(body) * reply.repeat_body)
        if reply.cut:
            writer.write(head + body[: len(body) // 2] if body else head[: len(head) // 2])
            await writer.drain()
            return False
        writer.write(head)
        for _ in range(reply.repeat_body):
            await self._send_body(body, reply.trickle_seconds, writer)
        return True

    async def _send_body(self, body: bytes, pause: float, writer: asyncio.StreamWriter) -> None:
        pieces = [body] if not pause else [body[i : i + 1] for i in range(len(body))]
        for piece in pieces:
            if pause:
                await asyncio.sleep(pause)
            writer.write(piece)
            await writer.drain()


def _head(reply: Reply, length: int) -> bytes:
    """Return the response's head; a scripted header replaces one of the same name."""
    given = list(reply.headers.items() if isinstance(reply.headers, Mapping) else reply.headers)
    names = {name.lower() for name, _ in given}
    own = [("Content-Type", "application/json"), ("Content-Length", str(length))]
    lines = [f"{name}: {value}" for name, value in [*given, *(o for o in own if o[0].lower() not in names)]]
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Whatever"
    return "\r\n".join([f"HTTP/1.1 {reply.status} {phrase}", *lines, "", ""]).encode("latin-1")
