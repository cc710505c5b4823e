"""A started command whose CPU and memory are accounted for."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process took, as the kernel accounts for it."""

    wall_seconds: float
    cpu_seconds: float
    """User and system, of its threads and of the children it waited for."""
    peak_rss_mb: float


class Process:
    """A command that runs. ``began`` is the time of its start, as ``time.time`` tells it."""

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        """Start it; its output goes to ``log``, or where ours goes."""
        self._name = " ".join(arguments)
        self._peak_kb = 0
        self._usage: Usage | None = None
        output = log.open("ab") if log else None
        self.began = time.time()
        self._popen = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=output, stderr=output)
        if output:
            output.close()
        self.pid = self._popen.pid
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def running(self) -> bool:
        """Tell whether it still runs."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    def wait(self) -> Usage:
        """Wait for its end; raises ``RuntimeError`` when it fails."""
        usage = self._reap()
        if self._popen.returncode:
            raise RuntimeError(f"{self._name}: exit code {self._popen.returncode}")
        return usage

    def stop(self, number: int = signal.SIGTERM) -> Usage:
        """End it with a signal; how it then ends does not matter."""
        if self._usage is None:
            os.kill(self.pid, number)
        return self._reap()

    def _reap(self) -> Usage:
        if self._usage is None:
            _, status, used = os.wait4(self.pid, 0)
            wall = time.time() - self.began
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            self._done.set()
            self._watcher.join()
            self._usage = Usage(
                wall_seconds=wall, cpu_seconds=used.ru_utime + used.ru_stime, peak_rss_mb=self._peak_kb / 1024
            )
        return self._usage

    def _watch(self) -> None:
        """Keep the high-water mark of memory: ``ru_maxrss`` would count what we had when the command was forked."""
        path = Path(f"/proc/{self.pid}/status")
        while not self._done.wait(SAMPLE_SECONDS):
            try:
                line = next((x for x in path.read_text().splitlines() if x.startswith("VmHWM")), None)
            except OSError:
                return
            if line:
                self._peak_kb = int(line.split()[1])
