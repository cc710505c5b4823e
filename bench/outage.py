"""An outage: the destination is down while a backlog builds up; then it comes back.

Memory while it is down, how fast the backlog drains, and how late fresh lines of other files are meanwhile. The
backlog stands for an hour: 20,000 events a second for 3,600 s are ``--lines 72000000``, 25 GB.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import common


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--down-seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common.write_lines(folder / "backlog.log", arguments.lines, 350)
        (folder / "fresh.log").touch()
        port = _free_port()
        delivery = {"retry": {"base": "100ms", "cap": "1s"}}
        config = common.configuration(
            folder,
            include=f"{folder}/*.log",
            urls=[f"http://127.0.0.1:{port}/hook"],
            per_transaction=500,
            delivery=delivery,
        )
        process = subprocess.Popen(common.agent("run", "-c", str(config)), cwd=common.ROOT)
        try:
            peak = 0.0
            end = time.monotonic() + arguments.down_seconds
            while time.monotonic() < end:
                time.sleep(0.5)
                peak = max(peak, common.resident_mb(process.pid))
            figures = {"RSS while it is down, MB": peak}
            with common.sink(port) as sink:
                figures |= _drain(folder, process.pid, sink, arguments.lines)
        finally:
            process.terminate()
            process.wait(60)
    common.report(figures, as_json=arguments.json)
    return 0


def _drain(folder: Path, pid: int, sink: common.Sink, lines: int) -> dict[str, float]:
    backlog, fresh = folder / "backlog.log", folder / "fresh.log"
    written, peak = 0, 0.0
    deadline = time.monotonic() + 3600
    # The sink is asked only at the end: while it counts, it receives nothing, and that would look like latency.
    while common.settled(folder / "state") < backlog.stat().st_size:
        if time.monotonic() > deadline:
            raise RuntimeError("the backlog did not drain within an hour")
        with fresh.open("ab", buffering=0) as log:
            log.write(common.stamped(lines + written))
        written += 1
        peak = max(peak, common.resident_mb(pid))
        time.sleep(0.1)
    time.sleep(1)
    told = sink.verdict()
    if told["distinct"] != lines + written:
        raise RuntimeError(f"{lines + written} lines, {told['distinct']} received")
    return {
        "RSS while it drains, MB": peak,
        "drained, events per second": told["events"] / told["seconds"],
        "fresh line meanwhile, p50 ms": common.percentile(told["latencies"], 0.5) * 1e3,
        "fresh line meanwhile, worst ms": max(told["latencies"]) * 1e3,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
