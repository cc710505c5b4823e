"""The agent's process as a service manager runs it: started again when it ends, watched all the time."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import AgentProcess

if TYPE_CHECKING:
    from tests.torture.journal import Journal

_LOOK_SECONDS = 0.1
_AGAIN_SECONDS = 0.5
_STOP_SECONDS = 60.0


class Supervised:
    """``audit-agent run``, killed and stopped on purpose, and started again by ``tick``."""

    def __init__(self, config: Path, journal: Journal) -> None:
        """Prepare; starts nothing."""
        self.peak_rss = 0
        """In bytes, over all processes."""
        self.may_fail = False
        """Ending by itself is right now, because it cannot write its state."""
        self.frozen = False
        self.starts = 0
        self._journal = journal
        self._agent = AgentProcess(config)
        self._down = True
        """It is to stay down."""
        self._ending_since: float | None = None
        self._next_start = 0.0
        self._reload_wanted = False
        self._reloading_since: float | None = None
        self._reloads = 0
        """Asked of this process."""
        self._next_look = 0.0
        self._log_from = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="rss", daemon=True)

    def start(self) -> None:
        """Run it from now on."""
        if not self._watcher.is_alive():
            self._watcher.start()
        self._down = False
        self._reload_wanted = False
        self._reloads = 0
        self._log_from = self._agent.log.stat().st_size if self._agent.log.exists() else 0
        self.starts += 1
        self._agent.start()

    def tick(self) -> None:
        """Start it again if it ended; an end that nobody wanted is a finding."""
        process = self._agent.process
        if self._down or process is None:
            return
        code = process.poll()
        if code is None:
            self._look_at_reloads()
            if self._ending_since and time.time() - self._ending_since > _STOP_SECONDS:
                self._journal.finding(f"SIGTERM did not end it within {_STOP_SECONDS} s")
                self.kill(stay_down=False)
            return
        if self._ending_since is not None:
            self._journal.cause("stop", self._ending_since)
            self._reloaded()
            early = code == -signal.SIGTERM and "agent_started" not in self.said()
            if code and not early:
                self._journal.finding(f"stopped with exit code {code}")
            self._ending_since = None
        elif self._next_start == 0.0:
            self._journal.note(f"the agent ended with exit code {code}")
            if not self.may_fail:
                self._journal.finding(f"ended by itself, exit code {code}: {self.said()[-2000:]}")
            self._next_start = time.monotonic() + _AGAIN_SECONDS
            return
        if time.monotonic() >= self._next_start:
            self._next_start = 0.0
            self.start()

    def _look_at_reloads(self) -> None:
        """Ask for a reload that had to wait; note the end of those under way: lanes are replaced until then."""
        if self._reload_wanted:
            self.reload()
        if self._reloading_since is not None and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _AGAIN_SECONDS
            said = self.said()
            if said.count("config_reloaded") + said.count("config_refused") >= self._reloads:
                self._reloaded()

    def _reloaded(self) -> None:
        if self._reloading_since is not None:
            self._journal.cause("reload", self._reloading_since)
            self._reloading_since = None

    def kill(self, *, stay_down: bool) -> None:
        """SIGKILL; it starts again at once unless it is to ``stay_down``."""
        begun = time.time()
        self._agent.kill()
        self._ending_since = None
        self._next_start = 0.0
        self._journal.cause("kill", begun)
        self._reloaded()
        self._down = self._down or stay_down
        if not self._down:
            self.start()

    def end(self) -> None:
        """SIGTERM; ``tick`` starts it again once it has ended."""
        if self.running() and self._ending_since is None:
            self._ending_since = time.time()
            self._agent.signal(signal.SIGTERM)

    def reload(self) -> bool:
        """SIGHUP, at once (True) or as soon as this process has started, as a service manager does it."""
        self._reload_wanted = not self.ready()
        if not self._reload_wanted:
            self._reloading_since = self._reloading_since or time.time()
            self._reloads += 1
            self.signal(signal.SIGHUP)
        return not self._reload_wanted

    def stop(self) -> int:
        """SIGTERM at the very end; return the exit code."""
        self._down = True
        return self._agent.stop()

    def freeze(self, frozen: bool) -> None:
        """Stop or continue the process, as a host does that is short of memory or suspended."""
        self.frozen = frozen
        self.signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.running():
            self._agent.signal(number)

    def running(self) -> bool:
        """Tell whether the process is there."""
        return self._agent.process is not None and self._agent.process.poll() is None

    def ready(self) -> bool:
        """Tell whether this process has said that it started."""
        return self.running() and self._ending_since is None and "agent_started" in self.said()

    def said(self) -> str:
        """Return what this process has logged so far."""
        with self._agent.log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def log(self) -> str:
        """Return what all of them have logged."""
        return self._agent.output()

    def close(self) -> None:
        """Kill it, if it runs."""
        self._over.set()
        self._down = True
        self._agent.kill()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            process = self._agent.process
            with contextlib.suppress(OSError, ValueError):
                if process is not None:
                    status = Path(f"/proc/{process.pid}/status").read_text()
                    high = next((line for line in status.splitlines() if line.startswith("VmHWM")), "")
                    if high:
                        self.peak_rss = max(self.peak_rss, int(high.split()[1]) * 1024)
