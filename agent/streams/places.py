"""Looking at a file: what stands at a path now, and whether its bytes are those of a known stream."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from agent.streams.content import Content, open_content
from agent.streams.family import family, is_compressed
from agent.streams.identity import HEAD_BYTES, MARK_BYTES, digest
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias

    from agent.streams.stream import Stream

    Found = TypeVar("Found")
    Steps: TypeAlias = Generator[None, None, Found]
    """Work that may take long, and may be interrupted at each step."""

_COMPARE_WHOLE = 64 << 20
_COMPARE_EDGE = 1 << 20
_STEP = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A regular file found at a path."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int

    @property
    def key(self) -> tuple[int, int]:
        """Device and inode: a shortcut to a known stream, always verified."""
        return (self.device, self.inode)

    @property
    def compressed(self) -> bool:
        """Tell whether the name says that the file is compressed."""
        return is_compressed(self.path)

    @property
    def rotated(self) -> bool:
        """Tell whether the name is a rotated one."""
        return family(self.path) != self.path


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class NoFileError(OSError):
    """What stands at the path is no regular file; says what it is."""


def look(path: str) -> Place | None:
    """Return the file at ``path``, None when nothing is there; else raises ``OSError`` (``NoFileError``: no file)."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise NoFileError(next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "something else"))
    return Place(
        path=path,
        device=_signed(status.st_dev),
        inode=_signed(status.st_ino),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
    )


class MovedError(Exception):
    """Another file stands at the path than a moment ago: rotation is under way, look again."""


def open_place(place: Place) -> Content:
    """Open the file that was seen at ``place``; raises ``MovedError`` when it is not there any more, or ``OSError``."""
    try:
        content = open_content(place.path)
    except FileNotFoundError as error:
        raise MovedError(place.path) from error
    status = content.stat()
    if (_signed(status.st_dev), _signed(status.st_ino)) != place.key:
        content.close()
        raise MovedError(place.path)
    return content


def at_once(steps: Steps[Found]) -> Found:
    """Do all of the work now; return what it finds."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # it is what the generator returns


def first_bytes(place: Place) -> bytes:
    """Return the up to 4 KiB at the start of the file; raises ``MovedError``, or one of ``DAMAGED``."""
    content = open_place(place)
    try:
        return content.read(0, HEAD_BYTES)
    finally:
        content.close()


def mark_before(content: Content, offset: int) -> bytes:
    """Return the tail mark at ``offset``: the hash of the up to 1 KiB before it, empty when that is not there."""
    size = min(offset, MARK_BYTES)
    data = content.read(offset - size, size)
    return digest(data) if len(data) == size else b""


def is_unchanged(stream: Stream, place: Place) -> bool:
    """Tell whether the file where the stream was last seen looks as it did."""
    if place.compressed:
        return 0 != stream.mtime_ns == place.mtime_ns  # its own size is not known here; 0: not seen in this run
    return (stream.size, stream.mtime_ns) == (place.size, place.mtime_ns)


def has_head(stream: Stream, first: bytes) -> bool:
    """Tell whether a file that begins with ``first`` begins as ``stream`` does."""
    return len(first) >= stream.head_bytes and digest(first[: stream.head_bytes]) == stream.head


def furthest_mark(stream: Stream) -> tuple[int, bytes]:
    """Return the (offset, tail mark) that says most of the stream's bytes; (0, b"") when only its head is known."""
    copied = max(stream.copied, default=0)  # where a copy ended may be known before anything was read
    return (copied, stream.copied[copied]) if copied > stream.mark_at else (stream.mark_at, stream.mark)


def shows(stream: Stream, content: Content) -> bool:
    """Tell whether an open file has the stream's bytes, as far as they are known: one that was cut has others."""
    offset, mark = furthest_mark(stream)
    return mark_before(content, offset) == mark if offset else has_head(stream, content.read(0, stream.head_bytes))


def has_mark(place: Place, offset: int, mark: bytes) -> Steps[bool]:
    """Tell whether the file has the tail mark at ``offset``."""
    content = open_place(place)
    try:
        for at in range(_STEP, offset - MARK_BYTES, _STEP) if place.compressed else ():
            content.read(at, 0)
            if content.length() is not None:
                return False  # shorter than that
            yield
        return mark_before(content, offset) == mark
    except DAMAGED:
        return False
    finally:
        content.close()


def end_mark(place: Place) -> Steps[tuple[int, bytes]]:
    """Return how many bytes there are, and the tail mark at their end; raises one of ``DAMAGED``."""
    content = open_place(place)
    try:
        length, tail = content.length(), b""
        if length is None:
            at = 0
            while data := content.read(at, 1 << 20):
                at, tail = at + len(data), (tail + data)[-MARK_BYTES:]
                yield
            return at, digest(tail)
        return length, mark_before(content, length)
    finally:
        content.close()


def whole(place: Place) -> Steps[bool]:
    """Tell whether a compressed file can be read to its end, i.e. is not still being written or cut off."""
    content = open_place(place)
    try:
        at = 0
        while data := content.read(at, 1 << 20):
            at += len(data)
            yield
    except DAMAGED:
        return False
    finally:
        content.close()
    return True


def same_bytes(ours: Content, place: Place) -> Steps[bool]:
    """Tell whether the shorter of the two files is the beginning of the other.

    Files over 64 MiB are compared at both ends of what they share.
    """
    theirs = open_place(place)
    try:
        at, step = 0, _COMPARE_EDGE
        limit = min(ours.length() or 1 << 62, theirs.length() or 1 << 62)
        while True:
            if limit < 1 << 62 and limit > _COMPARE_WHOLE and at == step:
                for skipped in range(2 * step, at := limit - step, step):
                    if theirs.length() is None:
                        theirs.read(skipped, 0)
                        yield
            left, right = ours.read(at, step), theirs.read(at, step)
            shared = min(len(left), len(right))
            if left[:shared] != right[:shared]:
                return False
            if shared < step:
                return True
            at += shared
            yield
    except DAMAGED:
        return False
    finally:
        theirs.close()


def _signed(number: int) -> int:
    """Fold an unsigned 64-bit number into what the state stores."""
    return number - (1 << 64) if number >= 1 << 63 else number
