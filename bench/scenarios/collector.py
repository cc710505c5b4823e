"""What the collector takes in: bulk events posted over one connection, each kept once in its database."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import common
from bench.native import program
from bench.process import Process

if TYPE_CHECKING:
    from bench.job import Figures


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Events of 365 bytes, 500 a request, from a sender in C."""

    name: str = "collector"
    title: str = "300,000 events into the collector, 500 a request"
    events: int = 300_000
    contestants: tuple[str, ...] = ("collector",)
    plot: tuple[str, ...] = ("steady_events_per_second", "cpu_per_million")

    def small(self) -> Collector:
        """Return the same with a fifth of the events."""
        return replace(self, events=self.events // 5)

    def run(self, who: str, inputs: Path) -> Figures | None:  # noqa: ARG002 # there is one, and it reads no file
        """Measure once."""
        flood = program("flood")
        if flood is None:
            return None
        with tempfile.TemporaryDirectory() as name:
            database = Path(name) / "collector.db"
            port = _free_port()
            command = [
                "--no-token",
                "--listen",
                f"127.0.0.1:{port}",
                "--database",
                str(database),
                "--log-level",
                "error",
            ]
            process = Process(common.agent("collector", *command))
            try:
                _await_answer(f"http://127.0.0.1:{port}/healthz")
                done = subprocess.run([str(flood), str(port), str(self.events)], capture_output=True, check=True)
            finally:
                used = process.stop()
        return {
            "steady_events_per_second": float(done.stdout),
            "cpu_per_million": used.cpu_seconds / self.events * 1e6,
            "peak_rss_mb": used.peak_rss_mb,
        }


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


COLLECTOR = Collector()
