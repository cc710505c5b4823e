"""A quiet agent: what it costs to wait, and how soon a line appended to a quiet log is at the receiver.

The latency is from just before the append to the receipt of the whole request. For comparison, the same body is sent
over the same loopback by httpx.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench import common

SETTLE_SECONDS = 3.0


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--idle-seconds", type=float, default=30.0)
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--per-second", type=float, default=20.0)
    parser.add_argument("--refusing", action="store_true", help="beside a destination that refuses connections")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name, common.sink() as sink:
        folder = Path(name)
        logs = [folder / f"app{number}.log" for number in range(arguments.files)]
        for number, path in enumerate(logs):
            common.write_lines(path, 10, 350, start=number * 10)
        urls = [sink.url, *(["http://127.0.0.1:9/refuses"] if arguments.refusing else [])]
        config = common.configuration(folder, include=f"{folder}/*.log", urls=urls, per_transaction=500)
        process = subprocess.Popen(common.agent("run", "-c", str(config)), cwd=common.ROOT)
        try:
            time.sleep(SETTLE_SECONDS)
            sink.verdict()
            figures = _idle(process.pid, arguments.idle_seconds)
            figures |= _latency(logs[0], sink, arguments.lines, arguments.per_second)
        finally:
            process.terminate()
            process.wait(30)
        bare = _bare(sink, arguments.lines, arguments.per_second)
        figures["bare POST p50, ms"] = common.percentile(bare, 0.5) * 1e3
        figures["append to receipt p50, to a bare POST"] = (
            figures["append to receipt p50, ms"] / figures["bare POST p50, ms"]
        )
    common.report(figures, as_json=arguments.json)
    return 0


def _idle(pid: int, seconds: float) -> dict[str, float]:
    before, began = common.cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    used = common.cpu_seconds(pid) - before
    return {
        "idle CPU, % of a core": 100 * used / (time.monotonic() - began),
        "idle RSS, MB": common.resident_mb(pid),
    }


def _latency(path: Path, sink: common.Sink, lines: int, per_second: float) -> dict[str, float]:
    with path.open("ab", buffering=0) as log:
        for n in range(lines):
            log.write(common.stamped(10_000_000 + n))
            time.sleep(1 / per_second)
    time.sleep(1)
    latencies = sink.verdict()["latencies"]
    if len(latencies) != lines:
        raise RuntimeError(f"{lines} lines written, {len(latencies)} received")
    return {
        "append to receipt p50, ms": common.percentile(latencies, 0.5) * 1e3,
        "append to receipt p99, ms": common.percentile(latencies, 0.99) * 1e3,
    }


def _bare(sink: common.Sink, lines: int, per_second: float) -> list[float]:
    with httpx.Client() as client:
        for n in range(lines):
            envelope = b'{"events":[{"unique_id":"%b","create_time":"2026-01-01T00:00:00Z","event":%b}]}'
            client.post(sink.url, content=envelope % (b"a" * 40, common.stamped(n).strip())).raise_for_status()
            time.sleep(1 / per_second)
    found: list[float] = sink.verdict()["latencies"]
    return found


if __name__ == "__main__":
    sys.exit(main())
