"""The receiver where there is no C compiler: answers 201, keeps the bodies to be judged afterwards.

Prints its port; ``GET /verdict`` says what arrived and forgets it, ``GET /stats`` only says. As ``sink.c``, but slower.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import sys
import time
from typing import ClassVar

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
NUMBER = rb"-9f1d-(\d{12})"
UNIQUE = re.compile(rb'"unique_id": ?"([^"]+)"[^{}]*\{[^{}]*?' + NUMBER)
WRITTEN = re.compile(NUMBER + rb"@(\d{16})")


class Sink(asyncio.Protocol):
    """One connection. Bodies are kept as they came, so that receiving costs little more than copying."""

    bodies: ClassVar[list[bytes]] = []
    arrivals: ClassVar[list[float]] = []
    first = 0.0
    last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with an empty buffer."""
        self._transport = transport
        self._parts: list[bytes] = []
        self._missing = -1

    def data_received(self, data: bytes) -> None:
        """Collect until a request is whole, then answer it."""
        while data:
            if self._missing < 0:
                head = b"".join([*self._parts, data])
                end = head.find(b"\r\n\r\n")
                if end < 0:
                    self._parts = [head]
                    return
                if head.startswith(b"GET"):
                    self._transport.write(_told())
                    if head.startswith(b"GET /verdict"):
                        _forget()
                    return
                found = LENGTH.search(head, 0, end)
                self._missing = int(found.group(1)) if found else 0
                data, self._parts = head[end + 4 :], []
            taken, data = data[: self._missing], data[self._missing :]
            self._parts.append(taken)
            self._missing -= len(taken)
            if self._missing:
                return
            Sink.last = time.time()
            Sink.first = Sink.first or Sink.last
            Sink.bodies.append(b"".join(self._parts))
            Sink.arrivals.append(Sink.last)
            self._parts, self._missing = [], -1
            self._transport.write(ANSWER)


def _told() -> bytes:
    numbers: dict[bytes, bytes] = {}
    events = twice = renamed = 0
    for body in Sink.bodies:
        for identity, number in UNIQUE.findall(body):
            events += 1
            first = numbers.setdefault(number, identity)
            if first is not identity:
                twice += 1
                renamed += first != identity
    latencies = []
    for body, at in zip(Sink.bodies, Sink.arrivals, strict=True):
        latencies += [at - int(t) / 1e6 for _, t in WRITTEN.findall(body)]
    told = {
        "requests": len(Sink.bodies),
        "bytes": sum(map(len, Sink.bodies)),
        "events": events,
        "distinct": len(numbers),
        "twice": twice,
        "twice_with_another_id": renamed,
        "first": Sink.first,
        "last": Sink.last,
        "seconds": Sink.last - Sink.first,
        "latencies": latencies,
    }
    body = json.dumps(told).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)


def _forget() -> None:
    Sink.bodies.clear()
    Sink.arrivals.clear()
    Sink.first = 0.0


async def main() -> None:
    """Serve on a loopback port, with TLS when a certificate and its key are given, until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    port, pair = int(sys.argv[1]) if len(sys.argv) > 1 else 0, sys.argv[2:4]
    tls = None
    if pair:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*pair)
    server = await loop.create_server(Sink, "127.0.0.1", port, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
