"""From the start of the process to the first event at the receiver."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import common, sinks
from bench.scenarios import daemons

if TYPE_CHECKING:
    from bench.job import Figures

LINES = 100


@dataclass(frozen=True, kw_only=True)
class Start:
    """A file with some lines, a process that has never run; then more lines, and it is started again."""

    name: str = "start"
    title: str = "Start to first event"
    contestants: tuple[str, ...] = ("agent", "rsyslog-http", "syslog-ng", "script")
    plot: tuple[str, ...] = ("first_start_seconds",)

    def small(self) -> Start:
        """Return the same."""
        return self

    def run(self, who: str, inputs: Path) -> Figures | None:  # noqa: ARG002 # makes its own
        """Measure once."""
        figures: Figures = {}
        with tempfile.TemporaryDirectory() as name, sinks.sink() as receiving:
            folder = Path(name)
            log = folder / "app0.log"
            for number, what in enumerate(("first_start_seconds", "second_start_seconds")):
                with log.open("ab") as out:
                    out.writelines(common.line(n, 365) for n in range(number * LINES, (number + 1) * LINES))
                process = daemons.start(who, folder, str(log), receiving)
                if process is None:
                    return None
                daemons.await_distinct(receiving, LINES)
                figures[what] = receiving.verdict()["first"] - process.began
                process.stop()
        return figures


START = Start()
