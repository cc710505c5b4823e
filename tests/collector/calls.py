"""What the tests of the collector send: events, requests, and the command as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa

from agent.collector import Settings, running
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from agent.collector import Handle

DATABASE: ContextVar[str | None] = ContextVar("DATABASE", default=None)
"""The database of a test that runs on each; see conftest."""
PATH = "/v1/bulk_audit_events"
TIME = "2026-05-04T12:00:01.250000000Z"


def event(name: str, **changes: Any) -> dict[str, Any]:
    """Return a valid envelope, or one with ``changes``."""
    return {"unique_id": name, "create_time": TIME, "event": {"log_type": "access"}} | changes


def bulk(*events: Any, **more: Any) -> bytes:
    """Return a request's body."""
    return json.dumps({"events": events, **more}).encode()


class Caller:
    """A client of a collector, and the collector's handle."""

    def __init__(self, client: httpx.AsyncClient, handle: Handle) -> None:
        self.http = client
        self.store = handle.store
        self.url = handle.url

    async def post(self, body: Any, **options: Any) -> httpx.Response:
        """Post a body."""
        return await self.http.post(PATH, content=body, **options)

    async def lists(self, body: bytes, **options: Any) -> tuple[dict[str, str], dict[str, str]]:
        """Post; return what the answer says of the done and the discarded ones: id → status."""
        answer = await self.post(body, **options)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert told["retry_events"] == []
        done = {entry["unique_id"]: entry["status"] for entry in told["success_events"]}
        return done, {entry["unique_id"]: entry["status"] for entry in told["discard_events"]}


@asynccontextmanager
async def collecting(database: str | None = None, headers: Any = None, **settings: Any) -> AsyncIterator[Caller]:
    """Run a collector inside this process."""
    settings = {"open_to_this_machine": not settings.get("tokens")} | settings
    async with (
        running(database=database or DATABASE.get() or ":memory:", settings=Settings(**settings)) as handle,
        httpx.AsyncClient(base_url=handle.url, timeout=60, headers=headers, trust_env=False) as client,
    ):
        yield Caller(client, handle)


class Process:
    """``audit-agent collector`` as a process."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        before: Callable[[], None] | None = None,
        database: str | None = None,
        no_token: bool = True,
    ) -> None:
        self.database = directory / "collector.db"
        self._url = database or DATABASE.get()
        self.address = self._url or str(self.database)
        self._log = directory / "collector.log"
        self._log.write_bytes(b"")
        needs_none = not no_token or "--token-file" in arguments or "AUDIT_COLLECTOR_TOKEN" in (environment or {})
        arguments = arguments if needs_none else (*arguments, "--no-token")
        listen = () if "--listen" in arguments else ("--listen", "127.0.0.1:0")
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "agent.cli", "collector", *listen),
                    *("--database", self.address, "--log-format", "json", *arguments),
                ],
                stdout=output,
                stderr=output,
                env={key: value for key, value in os.environ.items() if "AUDIT" not in key} | (environment or {}),
                preexec_fn=before,  # noqa: PLW1509 # this program has no threads then
            )

    def output(self) -> str:
        """Return everything it has said so far."""
        return self._log.read_text()

    def url(self) -> str:
        """Wait until it listens; return where."""
        wait_until(
            lambda: "collector_listening" in self.output() or self.process.poll() is not None,
            what="the collector to listen",
            on_timeout=self.output,
        )
        found = re.search(r'"url": "([^"]+)"', self.output())
        assert found, self.output()
        return found[1]

    def stored(self) -> list[str]:
        """Return the ids in its database, in the order of arrival."""
        if self._url is not None:
            with sa.create_engine(self._url, poolclass=sa.NullPool).connect() as connection:
                query = "SELECT convert_from(envelope, 'UTF8')::json ->> 'unique_id' FROM events ORDER BY id"
                return [row[0] for row in connection.execute(sa.text(query))]
        with closing(sqlite3.connect(self.database)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            rows = database.execute("SELECT json_extract(envelope, '$.unique_id') FROM events ORDER BY id")
            return [row[0] for row in rows]

    def client(self, *, base_url: str | None = None, **options: Any) -> httpx.Client:
        """Return a client of it."""
        return httpx.Client(base_url=base_url or self.url(), timeout=60, trust_env=False, **options)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def process(directory: Path, *arguments: str, **options: Any) -> Iterator[Process]:
    """Run the command while the block runs."""
    started = Process(directory, *arguments, **options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.end(signal.SIGKILL)
