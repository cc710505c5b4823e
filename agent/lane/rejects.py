"""What destinations refused for good, on disk before a cursor passes it: one JSON object a line."""

from __future__ import annotations

import fcntl
import os
import re
import time
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agent.destinations.base import Refusal
    from agent.events import Transaction

FILE_BYTES = 16 << 20
EXCERPT_CHARACTERS = 1000


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """One refused event, with why."""

    time: str
    destination: str
    counter: str
    """The drop counter of WIRE 9.1."""
    reason: str
    status: int | None = None
    excerpt: str = ""
    event: msgspec.Raw
    """The envelope, byte for byte as it was sent."""


class Rejects:
    """The rejects of one destination: numbered files in a folder of their own, appended to and fsynced."""

    def __init__(self, state_dir: Path, destination: str, *, file_bytes: int = FILE_BYTES) -> None:
        """Write below ``state_dir``; nothing is created before the first refusal."""
        self.folder = state_dir / "rejects" / _folder_name(destination)
        self._destination = destination
        self._file_bytes = file_bytes

    async def put(self, transaction: Transaction, refused: Mapping[int, Refusal]) -> None:
        """Write the refused events of ``transaction``; they are on disk when this returns. Raises ``OSError``."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lines = [
            msgspec.json.encode(
                Reject(
                    time=now,
                    destination=self._destination,
                    counter=refusal.counter,
                    reason=_encodable(refusal.reason),
                    status=refusal.status,
                    excerpt=_encodable(refusal.excerpt[:EXCERPT_CHARACTERS]),
                    event=msgspec.Raw(transaction.bodies[index]),
                )
            )
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
                _fsync_folder(parent)
        path = self._current()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Several senders write, each in a thread of its own: without turns one would overwrite the other's lines.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = _whole_lines(descriptor)
            try:
                written = 0
                while written < len(data):
                    written += os.pwrite(descriptor, data[written:], size + written)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if size == 0:
            _fsync_folder(self.folder)

    def _current(self) -> Path:
        files = self.files()
        if files and files[-1].stat().st_size < self._file_bytes:
            return files[-1]
        # After the last one even when the clock was set back.
        number = max(time.time_ns(), int(files[-1].stem) + 1) if files else time.time_ns()
        return self.folder / f"{number:020d}.jsonl"

    def files(self) -> list[Path]:
        """Return the files, oldest first."""
        return sorted(self.folder.glob(f"{'[0-9]' * 20}.jsonl")) if self.folder.is_dir() else []

    def __iter__(self) -> Iterator[Reject]:
        """Yield every reject, oldest first; a last line that a crash left torn was never settled and is left out."""
        decoder = msgspec.json.Decoder(Reject)
        for path in self.files():
            with path.open("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        yield decoder.decode(line)


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


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encodable(text: str) -> str:
    # A response may hold half of a surrogate pair: no reason to keep its refusal from the disk.
    return text.encode("utf-8", "replace").decode()


def _folder_name(destination: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", destination)[:64]
    if safe == destination:
        return safe
    return f"{safe}.{blake2b(destination.encode(), digest_size=4).hexdigest()}"
