"""One destination refuses connections: what that costs the other one in throughput and latency."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import common

REFUSING = "http://127.0.0.1:9/refuses"


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    figures: dict[str, float] = {}
    alone, beside = [], []
    for _ in range(arguments.runs):
        alone.append(_throughput(arguments.lines, refusing=False))
        beside.append(_throughput(arguments.lines, refusing=True))
    figures["events per second, alone"] = common.median(alone)
    figures["events per second, beside a dead one"] = common.median(beside)
    figures["throughput beside, to alone"] = common.median([b / a for a, b in zip(alone, beside, strict=True)])
    for name, option in (("alone", []), ("beside a dead one", ["--refusing"])):
        told = _latency(option)
        for key in ("append to receipt p50, ms", "append to receipt p99, ms"):
            figures[f"{key}, {name}"] = told[key]
    common.report(figures, as_json=arguments.json)
    return 0


def _throughput(lines: int, *, refusing: bool) -> float:
    """Return events per second from the first to the last one received by the healthy destination."""
    with tempfile.TemporaryDirectory() as name, common.sink() as sink:
        folder = Path(name)
        common.write_lines(folder / "bulk.log", lines, 350)
        urls = [sink.url, *([REFUSING] if refusing else [])]
        config = common.configuration(folder, include=f"{folder}/*.log", urls=urls, per_transaction=500)
        process = subprocess.Popen(common.agent("run", "-c", str(config)), cwd=common.ROOT)
        try:
            size = (folder / "bulk.log").stat().st_size
            end = time.monotonic() + 300
            while common.settled(folder / "state") < size:
                if time.monotonic() > end:
                    raise RuntimeError("not delivered within 300 s")
                time.sleep(0.2)
            told = sink.verdict()
        finally:
            process.terminate()
            process.wait(60)
    if told["distinct"] != lines:
        raise RuntimeError(f"{lines} lines written, {told['distinct']} received")
    return float(lines / told["seconds"])


def _latency(option: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.latency", "--idle-seconds", "1", "--json", *option]
    done = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    sys.exit(main())
