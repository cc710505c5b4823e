"""Reading the bytes of one file by offset, plain or compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from agent.streams.family import is_compressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer as WriteableBuffer

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, ValueError)
"""What decompressors raise on a member that is cut off or not what its name says."""


class Content(Protocol):
    """The bytes of one open file. Offsets count decompressed bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``; fewer only at the end."""
        ...

    def length(self) -> int | None:
        """Return how many bytes there are now, None when that is not known without reading them."""
        ...

    def stat(self) -> os.stat_result:
        """Return what the file system says of the open file."""
        ...

    def twin(self) -> Content:
        """Return another reader of the same open file, for a thread of its own, to be closed by the caller."""
        ...

    def close(self) -> None:
        """Let go of the descriptor."""
        ...


class Plain:
    """An uncompressed file. The descriptor stays good after a rename or a removal."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: str, *, descriptor: int | None = None) -> None:
        """Open ``path`` for reading, or take over its ``descriptor``; raises ``OSError``."""
        # O_NONBLOCK: a name that turned into a FIFO must not hang the agent.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(path, flags) if descriptor is None else descriptor

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``."""
        return os.pread(self._descriptor, size, offset)

    def length(self) -> int:
        """Return the size now."""
        return os.fstat(self._descriptor).st_size

    def stat(self) -> os.stat_result:
        """Return the status of the open file."""
        return os.fstat(self._descriptor)

    def duplicate(self) -> int:
        """Return a descriptor of the same file, to be closed by the caller."""
        return os.dup(self._descriptor)

    def twin(self) -> Plain:
        """Return another reader of the same open file."""
        return Plain("", descriptor=self.duplicate())

    def close(self) -> None:
        """Close the descriptor, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Bounded:
    """A file of which only so much may be read, as told anew each time."""

    __slots__ = ("_content", "_visible")

    def __init__(self, content: Content, visible: Callable[[], int]) -> None:
        """Take over ``content``."""
        self._content = content
        self._visible = visible

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset`` that may be read."""
        return self._content.read(offset, max(0, min(size, self._visible() - offset)))

    def length(self) -> int:
        """Return how many bytes may be read now."""
        return min(self._content.length() or 0, self._visible())

    def stat(self) -> os.stat_result:
        """Return the status of the open file."""
        return self._content.stat()

    def twin(self) -> Bounded:
        """Return another reader of the same open file, bounded by what may be read of it now."""
        visible = self._visible()
        return Bounded(self._content.twin(), lambda: visible)

    def close(self) -> None:
        """Close the file."""
        self._content.close()


class Compressed:
    """A compressed file, read forward; several readers at different offsets each keep their place.

    A file is only taken as such once it is whole: ``length`` is learnt when its end is reached.
    """

    _PLACES = 8
    _TAIL_BYTES = 32 << 10
    """What a place keeps of the bytes before it: the half line at the end of a read is read again with the next one."""

    def __init__(self, path: str, *, descriptor: int | None = None) -> None:
        """Open ``path``, or take over its ``descriptor``; raises ``OSError``."""
        self._path = path
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(path, flags) if descriptor is None else descriptor
        self._length: int | None = None
        self._places: dict[int, tuple[io.BufferedIOBase, bytes]] = {}
        """Offset → the decompressor that stands there, and the last bytes it gave."""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` decompressed bytes at ``offset``; fewer before damage, too.

        Raises one of ``DAMAGED`` where not even one byte can be read.
        """
        at = self._nearest(offset)
        stream, tail = self._places.pop(at) if at in self._places else (self._decompressor(), b"")
        while at < offset:
            tail = stream.read1(min(offset - at, 1 << 20))
            if not tail:
                self._length = at
                return b""
            at += len(tail)
        known = tail[len(tail) - (at - offset) :][:size] if at > offset else b""
        data, whole = _as_much(stream, size, known)
        if not whole:
            return data  # the next read finds the damage again
        if len(data) < size:
            self._length = offset + len(data)
        if len(self._places) >= self._PLACES:
            del self._places[min(self._places)]
        if (end := offset + len(data)) > at:
            at, tail = end, data
        self._places[at] = stream, tail[-self._TAIL_BYTES :]
        return data

    def _nearest(self, offset: int) -> int:
        """Return the place from which ``offset`` is read with the least effort; 0 is one that can always be made."""
        known = (at for at, (_stream, tail) in self._places.items() if at - len(tail) <= offset <= at)
        return min(known, default=0) or max((at for at in self._places if at <= offset), default=0)

    def approach(self, offset: int, *, most: int) -> bool:
        """Go towards ``offset``, by ``most`` bytes at most; tell whether ``read`` finds it near. Raises as ``read``."""
        at = self._nearest(offset)
        if offset - at <= most or (self._length is not None and self._length <= offset):
            return True
        self.read(at + most, 0)
        return self._length is not None and self._length <= offset

    def _decompressor(self) -> io.BufferedIOBase:
        return cast("io.BufferedIOBase", _opener(self._path)(io.BufferedReader(_FromStart(self._descriptor), 1 << 16)))

    def length(self) -> int | None:
        """Return the decompressed length once the end was reached."""
        return self._length

    def stat(self) -> os.stat_result:
        """Return the status of the compressed file."""
        return os.fstat(self._descriptor)

    @property
    def suffix(self) -> str:
        """Return what tells how it is compressed."""
        return os.path.splitext(self._path)[1]

    def duplicate(self) -> int:
        """Return a descriptor of the compressed file, to be closed by the caller."""
        return os.dup(self._descriptor)

    def twin(self) -> Compressed:
        """Return another reader of the same open file, at its start."""
        return Compressed(self._path, descriptor=self.duplicate())

    def close(self) -> None:
        """Close the descriptor, once."""
        self._places.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _FromStart(io.RawIOBase):
    """The bytes of a shared descriptor, with an offset of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _opener(path: str) -> Callable[[BinaryIO], object]:
    if path.endswith(".gz"):
        return lambda raw: gzip.GzipFile(fileobj=raw, mode="rb")
    if path.endswith(".bz2"):
        return lambda raw: bz2.BZ2File(raw, "rb")
    if path.endswith(".zst"):
        return lambda raw: zstd.ZstdFile(raw, "rb")
    return lambda raw: lzma.LZMAFile(raw, "rb")


def _as_much(stream: io.BufferedIOBase, size: int, known: bytes) -> tuple[bytes, bool]:
    """Return up to ``size`` bytes, of which ``known`` are the first, and whether no damage cut them short; raises when
    there is nothing but damage.
    """
    parts = [known] if known else []
    missing = size - len(known)
    try:
        while missing and (part := stream.read1(missing)):
            parts.append(part)
            missing -= len(part)
    except DAMAGED:
        if not parts:
            raise
        return b"".join(parts), False
    return parts[0] if len(parts) == 1 else b"".join(parts), True


def open_content(path: str) -> Content:
    """Open ``path`` as what its name says it is; raises ``OSError``."""
    return Compressed(path) if is_compressed(path) else Plain(path)
