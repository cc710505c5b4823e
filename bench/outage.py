"""An outage: the destination is down while a backlog builds up and is rotated; then it comes back.

Memory over the whole run, how fast the backlog drains, and how late fresh lines of other files are meanwhile. An hour
at 20,000 events a second is ``--lines 72000000``: 25 GB in the temporary directory, and a C compiler is needed for the
sink that judges them in constant memory.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import backlog, common

if TYPE_CHECKING:
    from collections.abc import Callable

FRESH = 2 * 10**8
"""The number of the first fresh line."""
FRESH_FILES = 5


def main() -> int:
    """Measure and report; 1 when a line was not received exactly once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=5_000_000, help=f"a multiple of {backlog.BLOCK}")
    parser.add_argument("--bytes", type=int, default=350, help="of one line")
    parser.add_argument("--members", type=int, default=6, help="files the backlog is rotated into")
    parser.add_argument("--down-seconds", type=float, default=10.0, help="after the backlog is written")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        figures, wrong = _outage(Path(name), arguments)
    common.report(figures, as_json=arguments.json)
    for told in wrong:
        print(f"WRONG: {told}", file=sys.stderr)
    return 1 if wrong else 0


def _outage(folder: Path, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    port = _free_port()
    config = common.configuration(
        folder,
        include=f"{folder}/logs/*.log",
        urls=[f"http://127.0.0.1:{port}/hook"],
        per_transaction=500,
        delivery={"retry": {"base": "100ms", "cap": "1s"}},
        hold_max_bytes=2 * arguments.lines * arguments.bytes,
    )
    (folder / "logs").mkdir()
    process = subprocess.Popen(common.agent("run", "-c", str(config)), cwd=common.ROOT)
    memory = _Memory(process.pid)
    try:
        figures: dict[str, Any] = {"RSS before, MB": memory.after(2.0)}
        _build_up(folder / "logs" / "backlog.log", arguments, process.pid)
        figures["backlog, GB"] = arguments.lines * arguments.bytes / 1e9
        figures["RSS while it is down, MB"] = memory.after(arguments.down_seconds)
        memory.restart()
        with common.sink(port, ids=True) as sink:
            began = time.monotonic()
            written = _write_fresh(folder / "logs", arguments.lines, lambda: int(sink.stats()["distinct"]))
            told = sink.verdict()
            figures |= _figures(told, time.monotonic() - began)
        figures["RSS while it drains, MB"] = memory.after(0)
        return figures, _judge(told, arguments.lines + written)
    finally:
        memory.stop()
        process.terminate()
        process.wait(60)


def _build_up(path: Path, arguments: argparse.Namespace, agent: int) -> None:
    """Write the backlog as ``--members`` files; every second rotation compresses the member before the newest.

    The agent gets the time between two rotations that an hour would have given it.
    """
    blocks, at = arguments.lines // backlog.BLOCK, 0
    for number in range(arguments.members):
        count = (blocks * (number + 1) // arguments.members) * backlog.BLOCK - at
        backlog.append(path, at, count, arguments.bytes)
        _until_idle(agent)
        at += count
        if number < arguments.members - 1:
            backlog.rotate(path, compress=2 if number % 2 else 0)
            _until_idle(agent)


def _until_idle(pid: int) -> None:
    """Return once the agent took less than a tenth of a core for a second, or after two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        before = common.cpu_seconds(pid)
        time.sleep(1)
        if common.cpu_seconds(pid) - before < 0.1:
            return


def _write_fresh(logs: Path, lines: int, received: Callable[[], int]) -> int:
    """Write a line every 100 ms, each file in its turn, until all is received; return how many were written."""
    written, deadline, look_at = 0, time.monotonic() + 3600, time.monotonic()
    while True:
        if time.monotonic() >= look_at:
            look_at = time.monotonic() + 1
            if received() >= lines + written:
                return written
            if time.monotonic() > deadline:
                raise RuntimeError("the backlog did not drain within an hour")
        with (logs / f"fresh{written % FRESH_FILES}.log").open("ab", buffering=0) as log:
            log.write(common.stamped(FRESH + written))
        written += 1
        time.sleep(0.1)


def _figures(told: dict[str, Any], seconds: float) -> dict[str, float]:
    return {
        "drained, events per second": told["events"] / told["seconds"],
        "reachable again to all received, seconds": seconds,
        "fresh lines meanwhile": float(len(told["latencies"])),
        "fresh line meanwhile, p50 ms": common.percentile(told["latencies"], 0.5) * 1e3,
        "fresh line meanwhile, p99 ms": common.percentile(told["latencies"], 0.99) * 1e3,
        "fresh line meanwhile, worst ms": max(told["latencies"]) * 1e3,
    }


def _judge(told: dict[str, Any], wanted: int) -> list[str]:
    """Return what is wrong with what was received."""
    wrong = [] if told["distinct"] == wanted else [f"{wanted} lines written, {told['distinct']} received"]
    return wrong + [f"{told[name]} {name}" for name in ("twice", "twice_with_another_id") if told[name]]


class _Memory:
    """Samples the resident memory of a process, four times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(0.25):
            self._peak = max(self._peak, common.resident_mb(self._pid))

    def restart(self) -> None:
        self._peak = 0.0

    def after(self, seconds: float) -> float:
        """Return the peak since the start or the last ``restart``, once ``seconds`` have passed."""
        time.sleep(seconds)
        return max(self._peak, common.resident_mb(self._pid))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
