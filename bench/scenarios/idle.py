"""What waiting costs: thousands of files that nobody writes to."""

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

SETTLE_SECONDS = 5.0
FOLDERS = 50


@dataclass(frozen=True, kw_only=True)
class Idle:
    """A number of files of one line each."""

    name: str
    title: str
    files: int
    seconds: float = 20.0
    contestants: tuple[str, ...] = ("agent",)
    plot: tuple[str, ...] = ("idle_cpu_percent", "idle_rss_mb")

    def small(self) -> Idle:
        """Return the same, watched for a shorter time."""
        return replace(self, seconds=8.0)

    def run(self, who: str, inputs: Path) -> Figures | None:  # noqa: ARG002 # makes its own
        """Measure once."""
        with tempfile.TemporaryDirectory() as name, sinks.sink() as receiving:
            folder = Path(name)
            for n in range(self.files):
                path = folder / f"d{n % FOLDERS}" / f"app{n}.log"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(common.line(n, 365))
            with daemons.running(who, folder, f"{folder}/d*/app*.log", receiving) as process:
                if process is None:
                    return None
                all_came = daemons.await_distinct(receiving, self.files)
                time.sleep(SETTLE_SECONDS)
                before, began = common.cpu_seconds(process.pid), time.monotonic()
                time.sleep(self.seconds)
                used = common.cpu_seconds(process.pid) - before
                figures = {
                    "idle_cpu_percent": 100 * used / (time.monotonic() - began),
                    "idle_rss_mb": common.resident_mb(process.pid),
                }
                missing = 0 if all_came else self.files - receiving.stats()["distinct"]
        return figures | {"lost": float(missing)}


IDLES = (
    Idle(name="idle-100", title="100 idle files", files=100),
    Idle(
        name="idle-1000",
        title="1,000 idle files",
        files=1000,
        contestants=("agent", "rsyslog-http", "syslog-ng"),
    ),
    Idle(name="idle-20000", title="20,000 idle files", files=20_000),
)
