"""The installed command as a process: started, watched, ended by its pid."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import yaml

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from pathlib import Path

GENEROUS_SECONDS = 60.0


def write_config(path: Path, **parts: Any) -> Path:
    """Write a configuration made of ``parts``, without an admin endpoint unless one is given."""
    path.write_text(yaml.safe_dump({"admin": {"listen": None}, **parts}))
    return path


def command(*arguments: str, timeout: float = GENEROUS_SECONDS, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``audit-agent`` with ``arguments`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "agent.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


class AgentProcess:
    """``audit-agent run`` in the background; its output goes to a file."""

    def __init__(
        self, config: Path, *, arguments: Sequence[str] = (), environment: dict[str, str] | None = None
    ) -> None:
        self._config = config
        self._arguments = arguments
        self._environment = environment or {}
        self.log = config.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; returns at once."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.cli", "run", "-c", str(self._config), *self._arguments],
                stdout=output,
                stderr=output,
                env=os.environ | self._environment,
            )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def output(self) -> str:
        """Return everything it has said so far."""
        return self.log.read_text() if self.log.exists() else ""

    def wait_for_output(self, text: str) -> None:
        """Wait until it has said ``text``."""
        wait_until(lambda: text in self.output(), what=f"{text!r} in the output", on_timeout=self.output)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(GENEROUS_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(GENEROUS_SECONDS)


def wait_until(
    condition: Callable[[], object],
    *,
    what: str = "the condition",
    seconds: float = GENEROUS_SECONDS,
    on_timeout: Callable[[], str] = str,
) -> None:
    """Wait until ``condition()`` is true; fail the test when it is not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}\n{on_timeout()}")
        time.sleep(0.02)
