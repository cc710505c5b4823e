"""How long a line takes from its append to its receipt, while a log grows at a steady pace."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import common, sinks
from bench.scenarios import daemons

if TYPE_CHECKING:
    from bench.job import Figures

EARLIER = 10


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Lines appended one by one, so many a second."""

    name: str
    title: str
    per_second: int
    lines: int
    contestants: tuple[str, ...] = ("agent", "rsyslog-http", "rsyslog-tcp", "syslog-ng")
    plot: tuple[str, ...] = ("latency_p50_ms", "latency_p99_ms")

    def small(self) -> Latency:
        """Return the same with a fifth of the lines."""
        return replace(self, lines=self.lines // 5)

    def run(self, who: str, inputs: Path) -> Figures | None:  # noqa: ARG002 # makes its own
        """Measure once."""
        with tempfile.TemporaryDirectory() as name, sinks.sink() as receiving:
            folder = Path(name)
            log = folder / "app0.log"
            common.write_lines(log, EARLIER, 365)
            with daemons.running(who, folder, str(log), receiving) as process:
                if process is None:
                    return None
                daemons.await_distinct(receiving, EARLIER)
                time.sleep(1)
                receiving.verdict()
                before = common.cpu_seconds(process.pid)
                self._append(log)
                daemons.await_distinct(receiving, self.lines, quiet_seconds=15)
                cpu = common.cpu_seconds(process.pid) - before
                told = receiving.verdict()
        latencies = told["latencies"]
        return {
            "latency_p50_ms": common.percentile(latencies, 0.5) * 1e3,
            "latency_p99_ms": common.percentile(latencies, 0.99) * 1e3,
            "latency_worst_ms": max(latencies) * 1e3,
            "cpu_percent": 100 * cpu / (self.lines / self.per_second),
            "lost": float(self.lines - told["distinct"]),
            "twice": float(told["twice"]),
        }

    def _append(self, path: Path) -> None:
        began = time.monotonic()
        with path.open("ab", buffering=0) as log:
            for n in range(self.lines):
                early = began + n / self.per_second - time.monotonic()
                if early > 0:
                    time.sleep(early)
                log.write(common.stamped(EARLIER + n, 365))


LATENCIES = (
    Latency(name="latency-quiet", title="Append to receipt, 20 lines a second", per_second=20, lines=400),
    Latency(name="latency-busy", title="Append to receipt, 5,000 lines a second", per_second=5000, lines=50_000),
)
