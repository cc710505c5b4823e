"""Memory over time: a log that grows at a steady pace, is rotated, and whose old files are deleted.

Passes when, after a warm-up, resident memory does not grow, and every line arrived. Growth is what a straight line
through the samples rises over the time watched: noise stays below ``ALLOWED_MB``, a leak does not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import common, sinks
from bench.lines import MARK
from bench.scenarios import daemons

if TYPE_CHECKING:
    from bench.process import Process

TICK_SECONDS = 0.01
SAMPLE_SECONDS = 5.0
KEPT = 2
ALLOWED_MB = 4.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How the agent stands at one moment."""

    minutes: float
    rss_mb: float
    descriptors: int
    state_mb: float
    behind: int


class Writer:
    """Appends numbered lines to ``app.log``, rotates it by name, and keeps the last rotated ones only."""

    def __init__(self, folder: Path, *, per_second: int, size: int, rotate_seconds: float) -> None:
        """Write nothing yet."""
        self.written = 0
        self._folder = folder
        self._per_second = per_second
        self._rotate_seconds = rotate_seconds
        before, _, after = common.line(0, size).partition(MARK.encode() + b"0" * 12)
        self._around = (before + MARK.encode(), after)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the line begun."""
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        began = rotated = time.monotonic()
        log = (self._folder / "app.log").open("ab", buffering=0)
        before, after = self._around
        while not self._stop.wait(TICK_SECONDS):
            due = int((time.monotonic() - began) * self._per_second)
            log.write(b"".join([b"%b%012d%b" % (before, n, after) for n in range(self.written, due)]))
            self.written = max(due, self.written)
            if time.monotonic() - rotated >= self._rotate_seconds:
                rotated = time.monotonic()
                log.close()
                self._rotate()
                log = (self._folder / "app.log").open("ab", buffering=0)
        log.close()

    def _rotate(self) -> None:
        (self._folder / f"app.log.{KEPT}").unlink(missing_ok=True)
        for number in range(KEPT - 1, 0, -1):
            older = self._folder / f"app.log.{number}"
            if older.exists():
                older.rename(self._folder / f"app.log.{number + 1}")
        (self._folder / "app.log").rename(self._folder / "app.log.1")


def main() -> int:
    """Watch and report; 1 when memory grew or a line is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--warm-up-minutes", type=float, default=2.0)
    parser.add_argument("--per-second", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=365, help="of one line")
    parser.add_argument("--rotate-seconds", type=float, default=15.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.warm_up_minutes >= arguments.minutes:
        parser.error("--warm-up-minutes: has to be less than --minutes")
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name, sinks.sink() as receiving:
        folder = Path(name)
        (folder / "logs").mkdir()
        writer = Writer(
            folder / "logs",
            per_second=arguments.per_second,
            size=arguments.bytes,
            rotate_seconds=arguments.rotate_seconds,
        )
        with daemons.running("agent", folder, str(folder / "logs" / "*.log"), receiving) as process:
            assert process is not None
            writer.start()
            samples = _watch(process, writer, receiving, folder / "state", minutes=arguments.minutes)
            writer.stop()
            daemons.await_distinct(receiving, writer.written)
            told = receiving.verdict()
    warm = [s for s in samples if s.minutes >= arguments.warm_up_minutes]
    slope = statistics.linear_regression([s.minutes for s in warm], [s.rss_mb for s in warm]).slope
    grown = slope * (warm[-1].minutes - warm[0].minutes)
    figures = {
        "written": writer.written,
        "lost": writer.written - told["distinct"],
        "twice": told["twice"],
        "RSS after the warm-up, MB": warm[0].rss_mb,
        "RSS at the end, MB": warm[-1].rss_mb,
        "RSS, greatest, MB": max(s.rss_mb for s in samples),
        "slope, MB a minute": slope,
        "growth after the warm-up, MB": grown,
        "descriptors, greatest": max(s.descriptors for s in samples),
        "state.db at the end, MB": warm[-1].state_mb,
        "behind, greatest, lines": max(s.behind for s in samples),
    }
    common.report(figures, as_json=arguments.json)
    if grown > ALLOWED_MB:
        print(f"WRONG: memory grew by {grown:.1f} MB; allowed: {ALLOWED_MB} MB", file=sys.stderr)
    if figures["lost"]:
        print(f"WRONG: {figures['lost']:,} lines are missing", file=sys.stderr)
    return 1 if grown > ALLOWED_MB or figures["lost"] else 0


def _watch(process: Process, writer: Writer, receiving: sinks.Sink, state: Path, *, minutes: float) -> list[Sample]:
    """Sample until the time is over, and tell each minute."""
    samples: list[Sample] = []
    began = time.monotonic()
    while (passed := (time.monotonic() - began) / 60) < minutes:
        time.sleep(min(SAMPLE_SECONDS, minutes * 60 / 20))
        if not process.running():
            raise RuntimeError("the agent ended")
        database = state / "state.db"
        samples.append(
            Sample(
                minutes=(time.monotonic() - began) / 60,
                rss_mb=common.resident_mb(process.pid),
                descriptors=len(list(Path(f"/proc/{process.pid}/fd").iterdir())),
                state_mb=database.stat().st_size / 1e6 if database.exists() else 0.0,
                behind=writer.written - receiving.stats()["distinct"],
            )
        )
        if int(samples[-1].minutes) > int(passed) or len(samples) == 1:
            print(json.dumps({k: round(v, 2) for k, v in vars(samples[-1]).items()}), file=sys.stderr)
    return samples


if __name__ == "__main__":
    sys.exit(main())
