"""``kill -9`` in the middle of a large file, then a new start: what is lost, what comes twice."""

from __future__ import annotations

import signal
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import sinks
from bench.lines import Input
from bench.scenarios import daemons

if TYPE_CHECKING:
    from bench.job import Figures


@dataclass(frozen=True, kw_only=True)
class Kill:
    """The file of the bulk scenario; the process is killed when half of it has arrived."""

    name: str = "kill"
    title: str = "kill -9 in the middle of 1,000,000 lines, restart"
    input: Input = field(default_factory=Input)
    contestants: tuple[str, ...] = ("agent", "rsyslog-http", "rsyslog-tcp", "syslog-ng")
    plot: tuple[str, ...] = ("lost", "twice")

    def small(self) -> Kill:
        """Return the same with a fifth of the lines."""
        return replace(self, input=replace(self.input, lines=self.input.lines // 5))

    def run(self, who: str, inputs: Path) -> Figures | None:
        """Measure once."""
        include, lines = self.input.write(inputs), self.input.lines
        with tempfile.TemporaryDirectory() as name, sinks.sink(ids=True) as receiving:
            folder = Path(name)
            process = daemons.start(who, folder, include, receiving)
            if process is None:
                return None
            while process.running() and receiving.stats()["distinct"] < lines // 2:
                time.sleep(0.01)
            process.stop(signal.SIGKILL)
            at_kill = receiving.stats()["distinct"]
            process = daemons.start(who, folder, include, receiving)
            assert process is not None
            daemons.await_distinct(receiving, lines, quiet_seconds=10)
            time.sleep(0.5)
            process.stop()
            told = receiving.verdict()
        return {
            "lost": float(lines - told["distinct"]),
            "twice": float(told["twice"]),
            "twice_with_another_id": float(told["twice_with_another_id"]),
            "arrived_before_kill": float(at_kill),
        }


KILL = Kill()
