"""What the collector takes in and how fast it answers, on SQLite and on PostgreSQL, each with one process.

Senders in C post over several connections, 500 events a request, each event 365 bytes and on disk before the answer.
Then the database is filled up, a tenth of it records of the subsystem ``api``, and asked for the newest 500.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio
import httpx

from agent.collector.store import Store, events
from agent.collector.store.retention import Keep, maintain
from agent.receive.envelope import Row
from bench import common
from bench.native import program
from bench.process import Process
from bench.scenarios.collector import _await_answer, _free_port
from tests.support.postgresql import postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PER_REQUEST = 500
_HOSTS = 200
_ASKED = 20


def main() -> int:
    """Measure and report; 1 when the database does not hold what was acknowledged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="posted")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--stored", type=int, default=5_000_000, help="in the database when it is asked; 0: not asked")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if program("flood") is None:
        return 1
    print(f"{common.machine()}; load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    figures: dict[str, object] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in arguments.database or ("sqlite", "postgresql"):
            if kind == "sqlite":
                database = str(folder / "collector.db")
            else:
                database = stack.enter_context(postgresql(durable=True)).fresh()
            figures |= {f"{kind}: {name}": value for name, value in _ingest(database, arguments).items()}
            if arguments.stored:
                anyio.run(_fill, database, arguments.stored)
                figures |= {f"{kind}: {name}": value for name, value in _ask(database).items()}
    common.report(figures, as_json=arguments.json)
    return 0


def _ingest(database: str, arguments: argparse.Namespace) -> dict[str, float]:
    each = arguments.events // arguments.connections // PER_REQUEST * PER_REQUEST
    with _Collector(database) as collector:
        began = time.perf_counter()
        senders = [
            subprocess.Popen(
                [str(program("flood")), str(collector.port), str(each), str(PER_REQUEST), "365", _stream(number)],
                stdout=subprocess.DEVNULL,
            )
            for number in range(arguments.connections)
        ]
        if any([sender.wait() for sender in senders]):  # noqa: C419 # all are waited for
            raise RuntimeError("a sender failed")
        seconds = time.perf_counter() - began
        used = collector.stop()
    sent = each * arguments.connections
    store = Store(database)
    try:
        if store.count() != sent:
            raise RuntimeError(f"{sent} events were acknowledged, {store.count()} are stored")
    finally:
        store.close()
    return {
        "events per second": sent / seconds,
        "CPU seconds per million": used.cpu_seconds / sent * 1e6,
        "peak RSS, MB": used.peak_rss_mb,
    }


async def _fill(database: str, number: int) -> None:
    """Store events until there are ``number``, through the store itself."""
    store = Store(database)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(store.run)
            rows = _rows()
            for _ in range((number - store.count()) // 10_000):
                await store.put([next(rows) for _ in range(10_000)])
            group.cancel_scope.cancel()
        time.sleep(1)  # noqa: ASYNC251 # the server counts what was written a little later
        maintain(store.database, Keep())  # as a running collector does every minute
    finally:
        store.close()


def _rows() -> Iterator[Row]:
    number = 0
    pad = "x" * 200
    while True:
        number += 1
        host, kind = f"host-{number % _HOSTS}", "api" if number % 10 == 0 else "access"
        inside = {"log_type": kind, "hostname": host, "user_id": f"u-{number % 9973}", "action": "UPDATE", "pad": pad}
        name = f"{_stream(100 + number % _HOSTS)}.{number * 365:x}"
        envelope = {"unique_id": name, "create_time": "2026-05-04T12:00:00.000000Z", "event": inside}
        yield Row(name, kind, host, json.dumps(envelope, separators=(",", ":")).encode())


def _ask(database: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    store = Store(database)
    try:
        figures["events stored"] = float(store.count())
        with store.database.reading() as connection:
            org = store.orgs.find(connection, "default")
            assert org is not None
            newest = {
                "newest 500 events, ms": {},
                "newest 500 events of a host, ms": {"hostname": "host-7"},
                "newest 500 events of a subsystem, ms": {"log_type": "api"},
            }
            for name, wanted in newest.items():
                figures[name] = _milliseconds(
                    lambda wanted=wanted: events.recent(connection, org, limit=500, **wanted)  # type: ignore[misc]
                )
    finally:
        store.close()
    with _Collector(database) as collector, httpx.Client(base_url=collector.url, timeout=60) as client:
        asked = {
            "list_audits, newest 500, ms": "/v1/audits",
            "list_audits, newest 500 of a user, ms": "/v1/audits?user_id=u-7",
            "list_audits, newest 500 by an expression, ms": '/v1/audits?cel_expression=action=="UPDATE"',
            "offsets of a stream, ms": f"/v1/streams/{_stream(107)}/ids",
        }
        for name, path in asked.items():
            figures[name] = _milliseconds(lambda path=path: client.get(path).raise_for_status())  # type: ignore[misc]
    return figures


def _milliseconds(ask: Callable[[], object]) -> float:
    """Return the median of some calls; the first ones warm up."""
    took = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1e3)
    return common.median(took[3:])


def _stream(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


class _Collector:
    """A collector as a process of its own."""

    def __init__(self, database: str) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        options = ("--no-token", "--listen", f"127.0.0.1:{self.port}", "--database", database, "--log-level", "error")
        self._process = Process(common.agent("collector", *options))
        self.stop = self._process.stop

    def __enter__(self) -> Self:
        _await_answer(f"{self.url}/healthz")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


if __name__ == "__main__":
    sys.exit(main())
