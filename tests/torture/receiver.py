"""A receiver in a process of its own, to be killed: what it acknowledges is on disk before.

As a process: ``python -m tests.torture.receiver --port P --store FILE --mode FILE --seed N``. The mode file names how
it answers now; each event it takes is a line ``time id writer number`` of the store.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import wait_until
from tests.support.receiver import Receiver, Reply, Request, processed

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
BAD = 997
"""Every so many lines one is refused for good, and has to be in the rejects."""
AGAIN = 0.002
"""How likely it is that an event is wanted once more."""

MODES: dict[str, Callable[[], Reply]] = {
    "429": lambda: Reply(429, headers={"Retry-After": "1"}),
    "500": lambda: Reply(500, b"oops"),
    "503": lambda: Reply(503, headers={"Retry-After": "1"}),
    "401": lambda: Reply(401),
    "404": lambda: Reply(404),
    "hang": lambda: Reply(hang=True),
    "cut": lambda: Reply(cut=True),
    "drop": lambda: Reply(drop=True),
    "garbage": lambda: Reply(garbage=b"\x00\xff nothing of HTTP \r\n\r\n"),
    "circle": lambda: Reply(307, headers={"Location": "/"}),
}
"""Odd answers for the whole request: none of its events was taken."""
ODD = (*MODES, "413", "400", "slow", "lost", "unprocessed")


class Store:
    """A file of what was taken; durable before ``take`` returns."""

    def __init__(self, path: Path) -> None:
        """Go on after the last whole line: a torn one was never acknowledged."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        whole = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(self._file, whole)

    def take(self, events: list[dict[str, object]]) -> None:
        """Append ``events``."""
        now = time.time()
        lines = []
        for event in events:
            inside = event["event"]
            assert isinstance(inside, dict)
            lines.append(f"{now:.3f} {event['unique_id']} {inside['w']} {inside['n']}\n")
        os.write(self._file, "".join(lines).encode())
        os.fdatasync(self._file)


class Answering:
    """Decides the answers."""

    def __init__(self, store: Store, mode: Path, seed: int) -> None:
        """Read ``mode`` at every request."""
        self._store = store
        self._mode = mode
        self._chance = random.Random(seed)
        self.forget: Callable[[], None] = lambda: None

    def __call__(self, request: Request) -> Reply:
        """Take what is taken, then answer."""
        self.forget()
        mode = self._mode.read_text()
        events = request.events()
        if mode in MODES:
            return MODES[mode]()
        if mode == "413" and len(events) > 20:
            return Reply(413)
        if mode == "400" and self._chance.random() < 0.1:
            return Reply(400, b"will not have these")
        return self._each(events, mode)

    def _each(self, events: list[dict[str, object]], mode: str) -> Reply:
        discard, again, taken = [], [], []
        likely = 0.5 if mode == "unprocessed" else AGAIN
        for event in events:
            inside = event["event"]
            assert isinstance(inside, dict)
            if inside["n"] % BAD == BAD - 1:
                discard.append(event["unique_id"])
            elif self._chance.random() < likely:
                again.append(event["unique_id"])
            else:
                taken.append(event)
        self._store.take(taken)
        if mode == "lost":  # stored, and the sender does not hear of it
            return Reply(drop=True)
        return Reply(body=processed(discard=discard, retry=again), delay_seconds=0.3 if mode == "slow" else 0.0)


class ReceiverProcess:
    """The process, started and killed from outside."""

    def __init__(self, folder: Path, name: str, *, port: int, seed: int) -> None:
        """Keep its files in ``folder``; starts nothing."""
        self.store = folder / f"{name}.received"
        self.store.touch()
        self.port = port
        self._mode = folder / f"{name}.mode"
        self._log = folder / f"{name}.receiver.log"
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None
        self.answer("")

    def answer(self, mode: str) -> None:
        """Answer in ``mode`` from the next request on; empty: as it should."""
        part = self._mode.with_suffix(".part")
        part.write_text(mode)
        part.rename(self._mode)

    def start(self) -> None:
        """Start it; does not wait."""
        arguments = ["--port", str(self.port), "--store", str(self.store), "--mode", str(self._mode)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.receiver", *arguments, "--seed", str(self._seed)],
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )

    def wait(self) -> None:
        """Wait until it listens."""
        wait_until(lambda: b"listening" in self._log.read_bytes(), what="the receiver")

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill -9, if it runs."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--mode", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    answering = Answering(Store(arguments.store), arguments.mode, arguments.seed)
    receiver = Receiver(answer=answering)
    receiver.port = arguments.port
    answering.forget = receiver.requests.clear  # a long run's requests do not fit into memory
    with receiver:
        print("listening", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
