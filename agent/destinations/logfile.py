"""The live file of a ``file`` destination: appends that are durable or undone. Blocking (WIRE 5.1)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.destinations import rotation
from agent.hints import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

BLOCK_BYTES = 64 * 1024
MAX_TORN_BYTES = 16 * 1024 * 1024
"""No event is as long; a file without a newline in its last so many bytes is somebody else's."""
_OURS = b'{"unique_id":'
_sync_data = getattr(os, "fdatasync", os.fsync)  # not every POSIX system has the cheaper one


class NotRegularError(OSError):
    """The path is a directory, a device or a pipe."""


class _Stamp(msgspec.Struct):
    """The member of an envelope that says how old the file's first line is."""

    create_time: str


class LogFile:
    """An append-only file that survives renames, removals, full disks and crashes of its writer.

    Methods raise ``OSError``; the file is then as it was before the call, as far as its disk allows.
    """

    def __init__(self, path: str) -> None:
        """Keep ``path``; nothing is opened."""
        self.path = Path(path)
        self._fd = -1
        self._born = 0.0

    def open(self) -> None:
        """Open the file that has the path now, unless it is open; create it (0600) and its parents (0700)."""
        if self._fd >= 0 and not self._is_current():
            self.close()
        if self._fd >= 0:
            return
        _make_parents(self.path.parent)
        fresh = not self.path.exists()
        fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            _check_regular(fd)
            _repair(fd)
            self._born = _born(fd)
            if fresh:
                sync_directory(self.path.parent)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def size(self) -> int:
        """Return the bytes of the open file."""
        return os.fstat(self._fd).st_size

    def age_seconds(self, now: float) -> float:
        """Return how long ago the first line was written; 0 for an empty file."""
        return now - self._born if self._born else 0.0

    def append(self, data: bytes) -> None:
        """Append ``data`` with one write and wait until it is on disk; undo it when that fails."""
        start = self.size()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            _sync_data(self._fd)
        except BaseException:
            try:
                os.ftruncate(self._fd, start)
            except OSError:
                self.close()  # what is torn is repaired when it is opened again
            raise
        if not self._born:
            self._born = time.time()

    def rotate(self, now: datetime) -> Path:
        """Rename the file away and close it; return its new name."""
        name = rotation.rotated_name(self.path, now)
        self.path.rename(name)
        self.close()
        sync_directory(self.path.parent)
        return name

    def close(self) -> None:
        """Close the descriptor if there is one."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _is_current(self) -> bool:
        """Tell whether the path still leads to the open file; logrotate and people rename and remove it."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def sync_directory(directory: Path) -> None:
    """Make a new name durable. Some file systems cannot; then the name is as durable as they make it."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def _check_regular(fd: int) -> None:
    """Refuse what cannot be truncated or renamed without harm."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise NotRegularError(errno.EINVAL, "not a regular file")


def _make_parents(directory: Path) -> None:
    """Create the missing parents for the owner only; ``makedirs`` gives its mode to the last one alone."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def _repair(fd: int) -> None:
    """Deal with a last line that a crash has torn.

    Its event was never acknowledged and is sent again, so what is recognisably ours, or zeros of a lost
    write, is cut off. Anything else is somebody's text: it is ended with a newline and left alone.
    """
    size = os.fstat(fd).st_size
    tail, length = b"", BLOCK_BYTES
    while b"\n" not in tail and len(tail) < min(size, MAX_TORN_BYTES):
        tail = os.pread(fd, length, max(0, size - length))
        length *= 16
    torn = tail[tail.rfind(b"\n") + 1 :]
    if not torn:
        return
    if torn.startswith(_OURS) or _OURS.startswith(torn) or not torn.strip(b"\0"):
        os.ftruncate(fd, size - len(torn))
    else:
        os.write(fd, b"\n")


def _born(fd: int) -> float:
    """Return the Unix time of the first line: its ``create_time``, else the file's; 0 for an empty file."""
    found = os.fstat(fd)
    if not found.st_size:
        return 0.0
    line = os.pread(fd, BLOCK_BYTES, 0).partition(b"\n")[0]
    try:
        when = rfc3339(msgspec.json.decode(line, type=_Stamp).create_time)
    except (msgspec.MsgspecError, ValueError):
        when = None
    return when.timestamp() if when else found.st_mtime
