"""What the benchmarks share: the machine, log lines, a sink, and a process whose CPU and memory are accounted."""

from __future__ import annotations

import compileall
import json
import os
import platform
import sqlite3
import statistics
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.lines import line, stamped
from bench.process import ROOT, Process, Usage
from bench.sinks import Sink, sink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ROOT", "Process", "Sink", "Usage", "line", "sink", "stamped"]


def machine() -> str:
    """Return one line about where this was measured."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return (
        f"{os.cpu_count()} cores {model}, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def write_lines(path: Path, count: int, size: int, *, start: int = 0) -> None:
    """Write ``count`` JSON lines of ``size`` bytes, line feed included, numbered from ``start`` in ``n``."""
    with path.open("wb", buffering=1 << 20) as out:
        for n in range(start, start + count):
            out.write(line(n, size))


def configuration(
    folder: Path,
    *,
    include: str,
    urls: Sequence[str],
    per_transaction: int,
    delivery: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    destination: Mapping[str, Any] | None = None,
    hold_max_bytes: int | None = None,
) -> Path:
    """Write a configuration that ships ``include`` to each of ``urls``; the mappings are added to what they name."""
    path = folder / "config.yaml"
    parts: dict[str, Any] = {
        "agent": {"state_dir": str(folder / "state"), "log_level": "error"},
        "admin": {"listen": None},
        "sources": [{"name": "bench", "include": [include], **(source or {})}],
        "destinations": [
            {
                "name": f"sink{number}",
                "destination_type": "file" if url.startswith("file:") else "webhook",
                "location": url,
                "max_events_per_transaction": per_transaction,
                "delivery": dict(delivery or {}),
                **(destination or {}),
            }
            for number, url in enumerate(urls)
        ],
    }
    if hold_max_bytes is not None:
        parts["hold"] = {"max_bytes": hold_max_bytes}
    path.write_text(yaml.safe_dump(parts))
    return path


def measured(arguments: Sequence[str]) -> Usage:
    """Run a command to its end; raises ``RuntimeError`` when it fails."""
    return Process(arguments).wait()


def settled(state_dir: Path) -> int:
    """Return how far the first destination has got in the stream it is furthest in, in bytes."""
    state = state_dir / "state.db"
    if not state.exists():
        return 0
    query = "SELECT coalesce(max(position), 0) FROM cursors WHERE lane = 'sink0'"
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
            return int(db.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def cpu_seconds(pid: int) -> float:
    """Return what a running process has used; in nanoseconds, for ticks of 10 ms would be too coarse."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def resident_mb(pid: int) -> float:
    """Return the resident memory of a running process."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def agent(*arguments: str) -> list[str]:
    """Return the command line of the agent, with its bytecode beside its source as an installation has it."""
    _compile()
    return [sys.executable, "-m", "agent.cli", *arguments]


@cache
def _compile() -> None:
    compileall.compile_dir(ROOT / "agent", quiet=1)


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``values`` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(figures: dict[str, Any], *, as_json: bool) -> None:
    """Print the figures, for people or for programs."""
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<42} {value:,.3f}" if isinstance(value, float) else f"{name:<42} {value}")
