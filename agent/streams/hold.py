"""Holds: what keeps a rotated file readable, also across restarts, until every lane is past it.

A plain file is held by a copy of its unread part: logrotate compresses no file that has a second name, so linking it
would end the rotation of that log for as long as a destination is down. A compressed member is not rewritten any more,
and held by a hard link where that is permitted, else by a copy.

A copy is a beginning of what it copies at every moment, so one that a crash cut short is good as far as it goes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from agent.streams.content import Compressed, open_content
from agent.streams.copying import append, free_bytes
from agent.streams.family import COMPRESSED, is_compressed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.streams.content import Content, Plain
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One held stream. The file holds the stream's bytes from ``base`` on; a compressed one holds them all."""

    stream: str
    base: int
    path: str
    linked: bool
    since: float

    @property
    def compressed(self) -> bool:
        """Tell whether a compressed member is held."""
        return is_compressed(self.path)

    @property
    def end(self) -> int:
        """Offset after the last byte held; of a compressed member, in its file."""
        try:
            return self.base + os.stat(self.path).st_size
        except OSError:
            return self.base

    @property
    def bytes(self) -> int:
        """Disk space that is used because of the hold: none while a link has another name, too."""
        try:
            status = os.stat(self.path)
        except OSError:
            return 0
        return 0 if self.linked and status.st_nlink > 1 else status.st_size

    def serves(self, start: int, *, compressed: bool) -> bool:
        """Tell whether what is needed from ``start`` on is in the hold, or can be appended to it."""
        return self.compressed == compressed and (compressed or self.base <= start <= self.end)


class Held:
    """What is held of a stream, read by the stream's offsets. Nobody else writes to it, so it needs no verifying."""

    def __init__(self, content: Content, base: int) -> None:
        """Take over ``content``, whose first byte is the stream's byte ``base``."""
        self._content = content
        self.base = base

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at the stream's ``offset``; none before the copy begins."""
        if offset < self.base:
            return b""
        return self._content.read(offset - self.base, size)

    def length(self) -> int | None:
        """Return the stream's length."""
        length = self._content.length()
        return None if length is None else self.base + length

    def stat(self) -> os.stat_result:
        """Return the status of the copy."""
        return self._content.stat()

    def approach(self, offset: int, *, most: int) -> bool:
        """Go towards ``offset`` where that takes long; tell whether ``read`` finds it near."""
        return not isinstance(self._content, Compressed) or self._content.approach(offset - self.base, most=most)

    def twin(self) -> Held:
        """Return another reader of the same copy."""
        return Held(self._content.twin(), self.base)

    def close(self) -> None:
        """Close the copy."""
        self._content.close()


class Holds:
    """The holds of one source, in a folder of their own."""

    def __init__(
        self, folder: Path, *, max_bytes: int, free: Callable[[Path], int] = free_bytes, tidy: bool = True
    ) -> None:
        """Find the holds of an earlier run; creates nothing before the first hold.

        ``free`` tells how many bytes a disk has left for holds; ``tidy`` false leaves everything as it is: another
        program may be at it.
        """
        self.folder = folder
        self.max_bytes = max_bytes
        self._free = free
        self._held: dict[str, Hold] = {}
        self._said: set[str] = set()
        self._tidy = tidy
        if folder.is_dir():
            for entry in sorted(os.scandir(folder), key=lambda found: found.name):
                self._find(entry)

    def _find(self, entry: os.DirEntry[str]) -> None:
        parts = entry.name.split(".")
        if len(parts) not in (3, 4) or parts[1] not in ("link", "copy") or not parts[2].isdigit():
            self._unneeded(entry.path)
            return
        try:
            since = entry.stat().st_ctime
        except FileNotFoundError:
            return  # let go of since it was listed
        found = Hold(stream=parts[0], base=int(parts[2]), path=entry.path, linked=parts[1] == "link", since=since)
        other = self._held.get(found.stream)
        if other is None:
            self._held[found.stream] = found
            return
        # A crash came between making a better hold and letting go of the old one: the better one may not be whole.
        best = max(found, other, key=lambda hold: (hold.linked, not hold.compressed, hold.end - hold.base))
        self._held[found.stream] = best
        self._unneeded((found if best is other else other).path)

    def _unneeded(self, path: str) -> None:
        if self._tidy:
            os.unlink(path)

    def recall(self, stream: Stream) -> None:
        """Tell a stream of an earlier run what is held of it: the state may be older than the hold."""
        if (hold := self._held.get(stream.id)) is None:
            return
        if hold.compressed:
            stream.complete = False
        else:
            stream.size = max(stream.size, hold.end)

    def ids(self) -> list[str]:
        """Return the ids of the held streams, the one held longest first."""
        return sorted(self._held, key=lambda stream: self._held[stream].since)

    def get(self, stream: str) -> Hold | None:
        """Return the hold of a stream, None when it is not held."""
        return self._held.get(stream)

    def bytes(self) -> int:
        """Return the disk space that is used because of holds."""
        return sum(hold.bytes for hold in self._held.values())

    def room(self) -> int:
        """Return how many bytes more may be held, by the bound and by the disk; negative when it is too much now."""
        return min(self.max_bytes - self.bytes(), self._free(self.folder))

    def link(self, stream: Stream) -> bool:
        """Hold a compressed member by a link; False where that is not possible: another disk, or not permitted."""
        if stream.path is None:
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        suffix = next(suffix for suffix in COMPRESSED if stream.path.endswith(suffix))
        target = str(self.folder / f"{stream.id}.link.0{suffix}")
        try:
            os.link(os.path.realpath(stream.path), target)
        except OSError as error:
            reason = error.strerror or str(error)
            if reason not in self._said:
                self._said.add(reason)
                log.info("hold_copies", source=stream.source, path=stream.path, reason=reason)
            return False
        if not stream.inode_is(os.stat(target)):
            os.unlink(target)  # rotation put another file there
            return False
        self._take(stream, Hold(stream=stream.id, base=0, path=target, linked=True, since=time.time()))
        return True

    def missing(self, stream: Stream, content: Plain | Compressed, start: int) -> int:
        """Return how many bytes have to be copied to hold everything that is needed from ``start`` on."""
        compressed = isinstance(content, Compressed)
        hold = self._held.get(stream.id)
        if hold is None or not hold.serves(start, compressed=compressed):
            return max(0, content.stat().st_size - (0 if compressed else start))
        return 0 if hold.linked else max(0, content.stat().st_size - hold.end)

    async def copy(self, stream: Stream, content: Plain | Compressed, start: int, *, most: int) -> None:
        """Copy up to ``most`` of the bytes that are missing; what is held already is not copied again.

        It survives a crash as far as it came, and a power failure once this returns. Raises ``OSError``.
        """
        old = hold = self._held.get(stream.id)
        if hold is None or not hold.serves(start, compressed=isinstance(content, Compressed)):
            hold = self._new_copy(stream, content, start)
        source = content.duplicate()  # the content may be closed while a thread reads
        try:
            await append(source, hold.path, skip=hold.base, most=most)
        except BaseException:
            if old is not None and old is not hold:
                os.unlink(hold.path)
            elif hold.end > hold.base:
                self._take(stream, hold)
            raise
        finally:
            os.close(source)
        self._take(stream, hold)

    def _new_copy(self, stream: Stream, content: Plain | Compressed, start: int) -> Hold:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        base, suffix = start, ""
        if isinstance(content, Compressed):
            base, suffix = 0, content.suffix
        path = str(self.folder / f"{stream.id}.copy.{base}{suffix}")
        if os.path.lexists(path):
            os.unlink(path)
        return Hold(stream=stream.id, base=base, path=path, linked=False, since=time.time())

    def _take(self, stream: Stream, hold: Hold) -> None:
        old = self._held.get(stream.id)
        if old is hold:
            return
        self._held[stream.id] = hold
        if old is not None and old.path != hold.path:
            os.unlink(old.path)
        log.info(
            "stream_held",
            source=stream.source,
            path=stream.last_path,
            stream=stream.id,
            by="link" if hold.linked else "copy",
            first_byte=hold.base,
            bytes=hold.end - hold.base,
        )

    def open(self, stream: str) -> Held | None:
        """Open what is held of a stream, None when nothing is. Raises ``OSError``."""
        hold = self._held.get(stream)
        return None if hold is None else Held(open_content(hold.path), hold.base)

    def release(self, stream: str) -> None:
        """Let go of a stream that every lane is past, or that has to make room."""
        hold = self._held.pop(stream, None)
        if hold is not None:
            try:
                os.unlink(hold.path)
            except FileNotFoundError:
                return
