"""Appending refused events, in numbered files; each line is on disk before its event is settled."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from agent.lane.rejects import folders
from agent.lane.rejects.bound import FILE_SHARE, MAX_BYTES, make_room
from agent.lane.rejects.reader import read
from agent.lane.rejects.record import encode, timestamp
from agent.state.folders import folder_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from agent.destinations.base import Refusal
    from agent.events import Transaction
    from agent.lane.rejects.record import Reject

FILE_BYTES = 16 << 20


class Rejects:
    """The rejects of one destination: numbered files in a folder of their own, appended to and fsynced."""

    def __init__(
        self,
        state_dir: Path,
        destination: str,
        *,
        file_bytes: int = FILE_BYTES,
        max_bytes: Callable[[], int] = lambda: MAX_BYTES,
        dropped: Callable[[str, int], None] = lambda _destination, _events: None,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        """Write below ``state_dir``; nothing is created before the first refusal.

        ``sync`` makes durable what was written to a descriptor, or raises ``OSError``.

        ``max_bytes`` bounds the rejects of all destinations together; ``dropped`` is told, in a thread and under the
        lock, of which destination and how many events the bound has cost.
        """
        self.folder = folders.root(state_dir) / folder_name(destination)
        self._destination = destination
        self._file_bytes = file_bytes
        self._max_bytes = max_bytes
        self._dropped = dropped
        self._sync = sync

    async def put(self, transaction: Transaction, refused: Mapping[int, Refusal]) -> None:
        """Write the refused events of ``transaction``; they are on disk when this returns. Raises ``OSError``."""
        now = timestamp()
        lines = [
            encode(transaction.bodies[index], refusal, destination=self._destination, time=now)
            for index, refusal in sorted(refused.items())
        ]
        data = b"\n".join(lines) + b"\n"
        # Not to be left half done: a torn write would be followed by a second copy of the same events.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._append, data)

    def _append(self, data: bytes) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for parent in self.folder.parents[:2]:
                folders.fsync(parent)
        # Several senders write, each in a thread of its own, and commands rewrite: each in its turn.
        with folders.locked(self.folder.parent):
            max_bytes = self._max_bytes()
            make_room(self.folder.parent, len(data), max_bytes=max_bytes, dropped=self._dropped)
            descriptor = os.open(self._current(max_bytes), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._write(descriptor, data)
            finally:
                os.close(descriptor)

    def _write(self, descriptor: int, data: bytes) -> None:
        size = _whole_lines(descriptor)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(descriptor, data[written:], size + written)
            self._sync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        if size == 0:
            folders.fsync(self.folder)

    def _current(self, max_bytes: int) -> Path:
        files = self.files()
        if files and files[-1].stat().st_size < min(self._file_bytes, max_bytes // FILE_SHARE):
            return files[-1]
        # After the last one even when the clock was set back.
        number = max(time.time_ns(), int(files[-1].stem) + 1) if files else time.time_ns()
        return self.folder / f"{number:020d}.jsonl"

    def files(self) -> list[Path]:
        """Return the files, oldest first."""
        return folders.files(self.folder)

    def __iter__(self) -> Iterator[Reject]:
        """Yield every reject, oldest first; a last line that a crash left torn was never settled and is left out."""
        for path in self.files():
            for found in read(path):
                if found.reject:
                    yield found.reject


def _whole_lines(descriptor: int) -> int:
    """Return the size of the file up to its last complete line."""
    size = at = os.fstat(descriptor).st_size
    while at > 0:
        start = max(0, at - 65536)
        found = os.pread(descriptor, at - start, start).rfind(b"\n")
        if found >= 0:
            size_whole = start + found + 1
            break
        at = start
    else:
        size_whole = 0
    if size_whole != size:
        os.ftruncate(descriptor, size_whole)
    return size_whole
