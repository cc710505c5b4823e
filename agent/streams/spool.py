"""The spool: numbered segment files for what cannot be read again, on disk before its sender is answered.

Whole lines are appended to the newest segment; appends that come together share one fsync. A segment is removed once
every lane is past it. Readers see nothing of an append before it is durable: ``visible`` bounds what they may read.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 16 << 20
SUFFIX = ".seg"
_GROUP_BYTES = 8 << 20
_STEP = 1 << 16


class SpoolFull(Exception):  # noqa: N818 # a state that passes, not a failure
    """The bound is reached: nothing of the append was taken; there is room again once a segment is removed."""


@dataclass(slots=True, eq=False)
class _Append:
    data: bytes
    done: bool = False
    error: OSError | None = field(default=None)


class Spool:
    """The segments of one source. ``open`` it, then ``append``; one program at a time."""

    def __init__(
        self,
        folder: str,
        *,
        max_bytes: int,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """Prepare; touches nothing. A segment is at most a quarter of the bound, so that some can go before it.

        ``sync`` makes durable what was written to a descriptor, or raises ``OSError``.
        """
        self._sync = sync
        self.folder = folder
        self.max_bytes = max_bytes
        self.appended: Callable[[str], None] = _nobody
        """Called with the path of the segment after each append that became durable, before its sender hears of it."""
        self.full = False
        """An append was refused, and none was taken since."""
        self._segment_bytes = max(1, min(segment_bytes, max_bytes // 4))
        self._sizes: dict[str, int] = {}
        """Path → durable bytes, oldest first."""
        self._waiting: list[_Append] = []
        self._waiting_bytes = 0
        self._turn = anyio.Lock()
        self._descriptor = -1
        self._current: str | None = None
        self._last = 0
        self._closed = False

    @property
    def used(self) -> int:
        """Bytes in all segments, and what waits to be written."""
        return sum(self._sizes.values()) + self._waiting_bytes

    @property
    def segments(self) -> Sequence[str]:
        """The paths of all segments, oldest first."""
        return list(self._sizes)

    def has_room(self, size: int) -> bool:
        """Tell whether an append of ``size`` bytes would be taken now; if not, room is made as soon as can be."""
        if self.used + size <= self.max_bytes:
            return True
        self.full = True
        return False

    def visible(self, path: str) -> int:
        """Return how many bytes of the segment at ``path`` may be read."""
        return self._sizes.get(path, 0)

    def open(self) -> None:
        """Take up what an earlier run left, without the torn end that a crash may have made. Raises ``OSError``."""
        created = not os.path.isdir(self.folder)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        if created:
            _fsync_folder(os.path.dirname(self.folder))
        self._sizes = {}
        with os.scandir(self.folder) as entries:
            found = [e.name for e in entries if e.name.endswith(SUFFIX) and e.name.removesuffix(SUFFIX).isdecimal()]
        for name in sorted(found, key=lambda n: int(n.removesuffix(SUFFIX))):
            path = os.path.join(self.folder, name)
            self._last = int(name.removesuffix(SUFFIX))
            if size := _whole_lines(path):
                self._sizes[path] = size
            else:
                os.unlink(path)

    async def append(self, lines: bytes, *, beyond: bool = False) -> None:
        """Append whole lines; returns once they are durable.

        Raises ``SpoolFull`` at the bound, unless ``beyond`` it is asked for, and ``OSError`` when the disk fails:
        then nothing of ``lines`` is ever read. Cannot be cancelled half done.
        """
        if not beyond and not self.has_room(len(lines)):
            raise SpoolFull
        own = _Append(lines)
        self._waiting.append(own)
        self._waiting_bytes += len(lines)
        with anyio.CancelScope(shield=True):
            async with self._turn:
                while not own.done:
                    await self._write_group()
        if own.error is not None:
            raise own.error
        self.full = False

    async def _write_group(self) -> None:
        """Write what waits, as much as fits in one go, and make it durable together."""
        group: list[_Append] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].data) <= _GROUP_BYTES):
            group.append(self._waiting.pop(0))
            size += len(group[-1].data)
        try:
            if self._closed:
                raise OSError(errno.ESHUTDOWN, "the source has ended")
            path, end = await anyio.to_thread.run_sync(self._write, b"".join(a.data for a in group))
        except OSError as error:
            for one in group:
                one.error = error
        else:
            self._sizes[path] = end
            self.appended(path)
        finally:
            self._waiting_bytes -= size
            for one in group:
                one.done = True

    def _write(self, data: bytes) -> tuple[str, int]:
        if self._current is None or self._sizes.get(self._current, 0) >= self._segment_bytes:
            self._begin()
        path, start = self._current or "", self._sizes.get(self._current or "", 0)
        view, written = memoryview(data), 0
        try:
            while written < len(data):
                written += os.pwrite(self._descriptor, view[written:], start + written)
            self._sync(self._descriptor)
        except OSError:
            self._take_back(start)
            raise
        return path, start + written

    def _begin(self) -> None:
        """Begin a new segment; its number is never one that was there before, also after a restart."""
        self._seal()
        self._last = max(self._last + 1, time.time_ns() // 1000)
        path = os.path.join(self.folder, f"{self._last:017d}{SUFFIX}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _fsync_folder(self.folder)
        except OSError:
            os.close(descriptor)
            os.unlink(path)
            raise
        self._descriptor, self._current = descriptor, path

    def _take_back(self, start: int) -> None:
        """Undo a write that failed, and go on in a new segment: after a failed fsync this one cannot be relied on."""
        try:
            os.ftruncate(self._descriptor, start)
            if not start and self._current:
                os.unlink(self._current)
        except OSError as error:
            log.error("spool_not_truncated", path=self._current, after_byte=start, error=error.strerror)
        self._seal()

    def _seal(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._current = -1, None

    def remove(self, path: str) -> bool:
        """Remove a segment that every lane is past; tell whether it is gone.

        The newest one stays while there is room in it, unless its room is needed.
        """
        size = self._sizes.get(path)
        if size is None:
            return False
        if path == self._current:
            busy = self._turn.locked()
            if busy or not (self.full or size >= self._segment_bytes):
                return False
            self._seal()
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("spool_segment_stays", path=path, error=error.strerror)
            return False
        del self._sizes[path]
        return True

    async def aclose(self) -> None:
        """Take nothing more, and let go of the newest segment; what is in the spool stays."""
        with anyio.CancelScope(shield=True):
            async with self._turn:  # a write under way needs its descriptor
                self._closed = True
                self._seal()


def _nobody(_path: str) -> None:
    """Nobody waits for appends."""


def _whole_lines(path: str) -> int:
    """Cut a torn last line off, and return the size."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = at = os.fstat(descriptor).st_size
        whole = 0
        while at > 0:
            start = max(0, at - _STEP)
            found = os.pread(descriptor, at - start, start).rfind(b"\n")
            if found >= 0:
                whole = start + found + 1
                break
            at = start
        if whole != size:
            log.warning("spool_torn_line", path=path, first_byte=whole, end_byte=size, then="it was never acknowledged")
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        return whole
    finally:
        os.close(descriptor)


def _fsync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
