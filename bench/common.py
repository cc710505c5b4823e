"""What the benchmarks share: the machine, log lines, a sink, and a process whose CPU and memory are accounted."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bench.native import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
MARK = "5f6f2b1e-0c3f-4a55-9f1d-"
"""What stands before the twelve digits of a line's number, by which the sinks know it in any format."""


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


def line(n: int, size: int) -> bytes:
    """Return one access record of ``size`` bytes."""
    record = {
        "n": n,
        "time": f"2026-05-04T12:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z",
        "method": "GET",
        "path": f"/reports/{n % 9973}/q1.pdf",
        "response_code": 200,
        "sub": f"u-{n % 997}",
        "http_user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "request_id": f"{MARK}{n:012d}",
    }
    bare = len(json.dumps(record)) + len(', "pad": ""') + 1
    record["pad"] = "x" * max(0, size - bare)
    return json.dumps(record).encode() + b"\n"


def stamped(n: int) -> bytes:
    """Return a short line that tells when it was written, to the microsecond."""
    return json.dumps({"n": n, "request_id": f"{MARK}{n:012d}@{time.time_ns() // 1000:016d}"}).encode() + b"\n"


class Sink:
    """The receiving process."""

    def __init__(self, port: int) -> None:
        """Talk to the sink on ``port``."""
        self.port = port

    @property
    def url(self) -> str:
        """The location for a destination."""
        return f"http://127.0.0.1:{self.port}/hook"

    def verdict(self) -> dict[str, Any]:
        """Return what arrived since the last verdict."""
        return self._ask("verdict")

    def stats(self) -> dict[str, Any]:
        """Return what arrived since the last verdict, and go on counting."""
        return self._ask("stats")

    def _ask(self, what: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{what}", timeout=300) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def sink(port: int = 0, *, ids: bool = False, retry_percent: int = 0) -> Iterator[Sink]:
    """Run a sink while the block runs, on a free port unless one is given.

    The one in C; the one in Python where there is no compiler, which takes less and can ask for nothing again. ``ids``
    tells numbers that came under two ids apart; the sink in Python always does.
    """
    native = program("sink")
    if native:
        command = [str(native), "--port", str(port), *(["--ids"] if ids else [])]
        command += ["--retry-percent", str(retry_percent)] if retry_percent else []
    elif retry_percent:
        raise RuntimeError("only the sink in C can ask for events again; a C compiler (cc) is needed")
    else:
        print("bench: the sink in Python is used: it may be the bottleneck, so compare ratios only", file=sys.stderr)
        command = [sys.executable, str(ROOT / "bench/sink.py"), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Sink(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(30)


def configuration(
    folder: Path,
    *,
    include: str,
    urls: Sequence[str],
    per_transaction: int,
    delivery: dict[str, Any] | None = None,
    hold_max_bytes: int | None = None,
) -> Path:
    """Write a configuration that ships ``include`` to each of ``urls``."""
    path = folder / "config.yaml"
    parts: dict[str, Any] = {
        "agent": {"state_dir": str(folder / "state"), "log_level": "error"},
        "admin": {"listen": None},
        "sources": [{"name": "bench", "include": [include]}],
        "destinations": [
            {
                "name": f"sink{number}",
                "destination_type": "webhook",
                "location": url,
                "max_events_per_transaction": per_transaction,
                "delivery": delivery or {},
            }
            for number, url in enumerate(urls)
        ],
    }
    if hold_max_bytes is not None:
        parts["hold"] = {"max_bytes": hold_max_bytes}
    path.write_text(yaml.safe_dump(parts))
    return path


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process took, as the kernel accounts for it."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def measured(arguments: Sequence[str]) -> Usage:
    """Run a command to its end; raises ``RuntimeError`` when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(arguments, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}")
    return Usage(wall_seconds=wall, cpu_seconds=used.ru_utime + used.ru_stime, peak_rss_mb=used.ru_maxrss / 1024)


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
    """Return the command line of the agent."""
    return [sys.executable, "-m", "agent.cli", *arguments]


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
