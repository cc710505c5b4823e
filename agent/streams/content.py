"""Reading the bytes of one file by offset, plain or compressed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from agent.streams.family import is_compressed
from agent.streams.unpack import DAMAGED, REFUSED, has_quick, unpacked

if TYPE_CHECKING:
    import io
    from collections.abc import Callable


_AHEAD_BYTES = 1 << 20
"""What a lane reads in one turn."""


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

    def __init__(self, path: str, *, descriptor: int | None = None, quick: bool = True) -> None:
        """Open ``path``, or take over its ``descriptor``; raises ``OSError``. ``quick``: by the quick decompressor for
        as long as that refuses nothing, where there is one.
        """
        self._path = path
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = os.open(path, flags) if descriptor is None else descriptor
        self._length: int | None = None
        self._quick = quick and has_quick(path)
        self._places: dict[int, tuple[io.BufferedIOBase, bytes]] = {}
        """Offset → the decompressor that stands there, and the last bytes it gave."""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` decompressed bytes at ``offset``; fewer before damage, too.

        Raises one of ``DAMAGED`` where not even one byte can be read.
        """
        if self._quick:
            try:
                return self._read(offset, size, keep=self._TAIL_BYTES)
            except REFUSED:
                self._begin_anew()
        return self._read(offset, size, keep=self._TAIL_BYTES)

    def approach(self, offset: int, *, most: int) -> bool:
        """Go towards ``offset``, by ``most`` bytes at most; tell whether ``read`` finds it near. Raises as ``read``."""
        at = self._nearest(offset)
        near = offset - at <= most
        if self._is_end(offset) or (near and not self._quick):
            return True
        try:
            if near:  # which also means that ``read`` need not begin anew: what it will ask for is had now, and kept
                self._read(offset, _AHEAD_BYTES, keep=_AHEAD_BYTES)
            else:
                self._read(at + most, 0, keep=self._TAIL_BYTES)
        except REFUSED:
            if not self._quick:
                raise
            self._begin_anew()
            return False
        return near or self._is_end(offset)

    def _is_end(self, offset: int) -> bool:
        return self._length is not None and self._length <= offset

    def _begin_anew(self) -> None:
        self._quick = False
        self._places.clear()

    def _read(self, offset: int, size: int, *, keep: int) -> bytes:
        """As ``read``, with what is refused raised; ``keep`` up to so many of the bytes to be read again."""
        at = self._nearest(offset)
        stream, tail = self._places.pop(at) if at in self._places else (self._decompressor(), b"")
        while at < offset:
            tail = stream.read1(min(offset - at, 1 << 20))
            if not tail:
                self._length = at
                return b""
            at += len(tail)
        known = tail[len(tail) - (at - offset) :][:size] if at > offset else b""
        data, whole = _as_much(stream, size, known, all_or_none=self._quick)
        if not whole:
            return data  # the next read finds the damage again
        if len(data) < size:
            self._length = offset + len(data)
        if len(self._places) >= self._PLACES:
            del self._places[min(self._places)]
        end = offset + len(data)
        if end > at:
            at, tail = end, data
        self._places[at] = stream, tail[-(at - end + keep) :]
        return data

    def _nearest(self, offset: int) -> int:
        """Return the place from which ``offset`` is read with the least effort; 0 is one that can always be made."""
        known = (at for at, (_stream, tail) in self._places.items() if at - len(tail) <= offset <= at)
        return min(known, default=0) or max((at for at in self._places if at <= offset), default=0)

    def _decompressor(self) -> io.BufferedIOBase:
        return unpacked(self._path, self._descriptor, quick=self._quick)

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


def _as_much(stream: io.BufferedIOBase, size: int, known: bytes, *, all_or_none: bool) -> tuple[bytes, bool]:
    """Return up to ``size`` bytes, of which ``known`` are the first, and whether no damage cut them short; raises when
    there is nothing but damage, with ``all_or_none`` at any.
    """
    parts = [known] if known else []
    missing = size - len(known)
    try:
        while missing and (part := stream.read1(missing)):
            parts.append(part)
            missing -= len(part)
    except DAMAGED:
        if not parts or all_or_none:
            raise
        return b"".join(parts), False
    return parts[0] if len(parts) == 1 else b"".join(parts), True


def open_content(path: str) -> Content:
    """Open ``path`` as what its name says it is; raises ``OSError``."""
    return Compressed(path) if is_compressed(path) else Plain(path)
