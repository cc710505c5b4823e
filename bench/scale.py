"""Many files: how long the start takes, what thousands of idle files cost, and whether a backlog delays fresh lines."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import common


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--idle-seconds", type=float, default=60.0)
    parser.add_argument("--busy", type=int, default=200, help="files that are written to, beside the idle ones")
    parser.add_argument("--busy-seconds", type=float, default=30.0)
    parser.add_argument("--backlog-lines", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name, common.sink() as sink:
        folder = Path(name)
        logs = [folder / f"d{n % 50}" / f"app{n}.log" for n in range(arguments.files)]
        for n, path in enumerate(logs):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(common.line(n, 350))
        config = common.configuration(folder, include=f"{folder}/d*/*.log", urls=[sink.url], per_transaction=500)
        figures = _first_start(config, folder, arguments.files, sink)
        process = subprocess.Popen(common.agent("run", "-c", str(config)), cwd=common.ROOT)
        try:
            figures |= _second_start(process.pid, logs[0], sink)
            figures |= _idle(process.pid, arguments.idle_seconds)
            figures |= _busy(process.pid, logs[2 : 2 + arguments.busy], sink, arguments.busy_seconds)
            figures |= _fairness(folder, logs[1], sink, arguments.backlog_lines)
        finally:
            process.terminate()
            process.wait(60)
    common.report(figures, as_json=arguments.json)
    return 0


def _first_start(config: Path, folder: Path, files: int, sink: common.Sink) -> dict[str, float]:
    used = common.measured(common.agent("run", "--once", "-c", str(config)))
    told = sink.verdict()
    if told["distinct"] != files:
        raise RuntimeError(f"{files} files of one line, {told['distinct']} lines received")
    size = (folder / "state" / "state.db").stat().st_size
    return {
        "first run, seconds": used.wall_seconds,
        "first run, CPU seconds": used.cpu_seconds,
        "state.db, MB": size / 1e6,
    }


def _append(path: Path, n: int) -> None:
    with path.open("ab", buffering=0) as log:
        log.write(common.stamped(n))


def _second_start(pid: int, path: Path, sink: common.Sink) -> dict[str, float]:
    """Return how long a start takes that has everything to look at and one line to send."""
    began = time.time()
    _append(path, 50_000_000)
    while not (told := sink.verdict())["events"]:
        os.kill(pid, 0)
        time.sleep(0.05)
    return {"start to first event, seconds": max(told["latencies"][0], time.time() - began - 0.05)}


def _idle(pid: int, seconds: float) -> dict[str, float]:
    time.sleep(2)
    before, began = common.cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return {
        "idle CPU, % of a core": 100 * (common.cpu_seconds(pid) - before) / (time.monotonic() - began),
        "idle RSS, MB": common.resident_mb(pid),
        "idle descriptors": float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
    }


def _busy(pid: int, logs: list[Path], sink: common.Sink, seconds: float) -> dict[str, float]:
    """Return what files cost that are all written to, ten lines a second each, beside the idle ones."""
    sink.verdict()
    before, began, written = common.cpu_seconds(pid), time.monotonic(), 0
    while (spent := time.monotonic() - began) < seconds:
        for path in logs:
            _append(path, 55_000_000 + written)
            written += 1
        time.sleep(max(0.0, 0.1 - (time.monotonic() - began - spent)))
    used, spent = common.cpu_seconds(pid) - before, time.monotonic() - began
    descriptors = float(len(list(Path(f"/proc/{pid}/fd").iterdir())))
    deadline, latencies = time.monotonic() + 60, list[float]()
    while len(latencies) < written and time.monotonic() < deadline:
        time.sleep(0.5)
        latencies += sink.verdict()["latencies"]
    if len(latencies) != written:
        raise RuntimeError(f"{written} lines written to busy files, {len(latencies)} received")
    return {
        "busy files, lines/s": written / spent,
        "busy CPU, % of a core": 100 * used / spent,
        "busy RSS, MB": common.resident_mb(pid),
        "busy descriptors": descriptors,
        "busy line, p50 ms": common.percentile(latencies, 0.5) * 1e3,
        "busy line, p99 ms": common.percentile(latencies, 0.99) * 1e3,
    }


def _fairness(folder: Path, path: Path, sink: common.Sink, lines: int) -> dict[str, float]:
    """Return how late fresh lines of one file are while another one has a huge backlog."""
    part = folder / "backlog.part"
    common.write_lines(part, lines, 350, start=60_000_000)
    part.rename(folder / "d0" / "backlog.log")
    for n in range(40):
        _append(path, 50_000_001 + n)
        time.sleep(0.05)
    deadline = time.monotonic() + 120
    latencies: list[float] = []
    while len(latencies) < 40 and time.monotonic() < deadline:
        time.sleep(1)
        latencies += sink.verdict()["latencies"]
    return {
        "fresh line beside a backlog, p50 ms": common.percentile(latencies, 0.5) * 1e3,
        "fresh line beside a backlog, worst ms": max(latencies) * 1e3,
    }


if __name__ == "__main__":
    sys.exit(main())
