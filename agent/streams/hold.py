"""Holds: what keeps a rotated file readable, also across restarts, until every lane is past it.

A hard link where that is possible, else a copy of the part that is still needed. Bounded: the oldest goes first.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from agent.streams.content import open_content
from agent.streams.family import COMPRESSED

if TYPE_CHECKING:
    from pathlib import Path

    from agent.streams.content import Content
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One held stream. The file holds the stream's bytes from ``base`` on."""

    stream: str
    base: int
    path: str
    linked: bool
    since: float

    @property
    def bytes(self) -> int:
        """Disk space that is used because of the hold: none while a link has another name, too."""
        try:
            status = os.stat(self.path)
        except OSError:
            return 0
        return 0 if self.linked and status.st_nlink > 1 else status.st_size


class Held:
    """What is held of a stream, read by the stream's offsets. Nobody else writes to it, so it needs no verifying."""

    def __init__(self, content: Content, base: int) -> None:
        """Take over ``content``, whose first byte is the stream's byte ``base``."""
        self._content = content
        self._base = base

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at the stream's ``offset``; none before the copy begins."""
        if offset < self._base:
            return b""
        return self._content.read(offset - self._base, size)

    def length(self) -> int | None:
        """Return the stream's length."""
        length = self._content.length()
        return None if length is None else self._base + length

    def stat(self) -> os.stat_result:
        """Return the status of the copy."""
        return self._content.stat()

    def close(self) -> None:
        """Close the copy."""
        self._content.close()


class Holds:
    """The holds of one source, in a folder of their own. Blocks for as long as linking or copying takes."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        """Find the holds of an earlier run; creates nothing before the first hold."""
        self.folder = folder
        self.max_bytes = max_bytes
        self._held: dict[str, Hold] = {}
        self._failed: set[str] = set()
        if folder.is_dir():
            for entry in os.scandir(folder):
                self._recall(entry)

    def _recall(self, entry: os.DirEntry[str]) -> None:
        parts = entry.name.split(".")
        if len(parts) < 3 or parts[1] not in ("link", "copy") or not parts[2].isdigit():
            os.unlink(entry.path)  # a copy that a crash left half done
            return
        self._held[parts[0]] = Hold(
            stream=parts[0],
            base=int(parts[2]),
            path=entry.path,
            linked=parts[1] == "link",
            since=entry.stat().st_ctime,
        )

    def __len__(self) -> int:
        """Return how many streams are held."""
        return len(self._held)

    def ids(self) -> list[str]:
        """Return the ids of the held streams, the one held longest first."""
        return sorted(self._held, key=lambda stream: self._held[stream].since)

    def bytes(self) -> int:
        """Return the disk space that is used because of holds."""
        return sum(hold.bytes for hold in self._held.values())

    def __contains__(self, stream: str) -> bool:
        """Tell whether the stream is held."""
        return stream in self._held

    def needs_copy(self, stream: Stream, start: int) -> bool:
        """Hold ``stream`` by a link; tell whether only a copy of its bytes from ``start`` on will do."""
        if stream.id in self._held:
            return self._outgrew(stream, start)
        return stream.path is None or not self._link(stream)

    def _outgrew(self, stream: Stream, start: int) -> bool:
        """Tell whether a copy misses bytes that were written to the original since."""
        hold = self._held[stream.id]
        if hold.linked or stream.content is None or not stream.complete:
            return False
        return hold.base + os.stat(hold.path).st_size < stream.size and start < stream.size

    def _link(self, stream: Stream) -> bool:
        """Link the file of ``stream``; False where that is not possible: another disk, or not permitted."""
        if stream.path is None:
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._target(stream, "link", 0)
        try:
            os.link(os.path.realpath(stream.path), target)
        except OSError as error:
            if stream.source not in self._failed:
                self._failed.add(stream.source)
                log.info("hold_copies", source=stream.source, path=stream.path, reason=error.strerror)
            return False
        if not stream.inode_is(os.stat(target)):
            os.unlink(target)  # rotation put another file there
            return False
        self._add(stream, 0, target, linked=True)
        return True

    def copy(self, stream: Stream, content: Content, start: int) -> None:
        """Hold ``stream`` by a copy of its bytes from ``start`` on. Raises ``OSError`` when there is no room.

        Call it on a thread: there may be gigabytes to copy.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._target(stream, "copy", start, compressed=False)
        part = f"{target}.part"
        try:
            with open(part, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                at = start
                while data := content.read(at, _COPY_BYTES):
                    out.write(data)
                    at += len(data)
                    if at - start > self.max_bytes:
                        break  # more than may be held at all: the rest is lost, and said to be
                out.flush()
                os.fsync(out.fileno())
            os.rename(part, target)
        except BaseException:
            if os.path.exists(part):
                os.unlink(part)
            raise
        old = self._held.get(stream.id)
        self._add(stream, start, target, linked=False)
        if old is not None and old.path != target:
            os.unlink(old.path)

    def _add(self, stream: Stream, base: int, path: str, *, linked: bool) -> None:
        self._held[stream.id] = Hold(stream=stream.id, base=base, path=path, linked=linked, since=time.time())
        log.info(
            "stream_held",
            source=stream.source,
            path=stream.last_path,
            stream=stream.id,
            by="link" if linked else "copy",
            first_byte=base,
            end_byte=stream.size,
        )

    def _target(self, stream: Stream, kind: str, base: int, *, compressed: bool = True) -> str:
        suffix = next((s for s in COMPRESSED if stream.last_path.endswith(s)), "") if compressed else ""
        return str(self.folder / f"{stream.id}.{kind}.{base}{suffix}")

    def open(self, stream: str) -> Held | None:
        """Open what is held of a stream, None when nothing is. Raises ``OSError``."""
        hold = self._held.get(stream)
        if hold is None:
            return None
        return Held(open_content(hold.path), hold.base)

    def release(self, stream: str) -> None:
        """Let go of a stream that every lane is past, or that has to make room."""
        hold = self._held.pop(stream, None)
        if hold is not None:
            try:
                os.unlink(hold.path)
            except FileNotFoundError:
                return

    def over_bound(self) -> str | None:
        """Return the stream held longest when the holds take more than they may, else None."""
        if self.bytes() <= self.max_bytes:
            return None
        return next((stream for stream in self.ids() if self._held[stream].bytes), None)
