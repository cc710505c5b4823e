"""Log files that are written to and rotated in every way; each keeps the truth of what it wrote.

Rotation pauses the writer, so that the truth is exact: nothing is written between a copy and its cut.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import time
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = {
    "numbered": ("create", "create", "compress"),
    "delayed": ("create", "delaycompress"),
    "copied": ("copytruncate", "copytruncate-compress"),
    "dated": ("dated", "dated-compress"),
    "moved": ("olddir",),
    "mixed": ("create", "copytruncate", "compress", "dated"),
}
"""How a host rotates a log: the ways that are mixed on one file."""

_PACK: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_PADS = (0, 0, 10, 10, 40, 100, 100, 1500)
_MARK_EVERY = 50


class Log:
    """One log file with its rotated members."""

    def __init__(self, path: Path, kind: str, chance: random.Random) -> None:
        """Begin an empty file that is rotated as ``kind`` says; ``chance`` decides what happens when."""
        self.path = path
        self.name = path.stem
        self.kind = kind
        self.written = 0
        self.rotations = 0
        self._chance = chance
        self._file = self._open()
        self._live_from = 0
        self._members: dict[int, tuple[int, int]] = {}
        """Inode of a member → its first line, and the one after its last."""
        self._marks: list[tuple[int, float]] = []
        self._since = 0.0

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, lines: int) -> None:
        """Append ``lines`` lines, now and then in two halves."""
        for _ in range(lines):
            pad = "x" * self._chance.choice(_PADS)
            line = json.dumps({"n": self.written, "w": self.name, "pad": pad}).encode() + b"\n"
            cut = self._chance.randrange(len(line)) if self._chance.random() < 0.05 else 0
            for part in (line[:cut], line[cut:]):
                if part:
                    os.write(self._file, part)
            if self.written % _MARK_EVERY == 0:
                self._marks.append((self.written, time.time()))
            self.written += 1

    def written_at(self, line: int) -> float:
        """Return about when ``line`` was written."""
        at = bisect_right(self._marks, line, key=lambda mark: mark[0])
        return self._marks[max(0, at - 1)][1]

    def rotate(self) -> str:
        """Rotate in one of the ways of its kind; return which, and the lines that went."""
        if self.written == self._live_from:
            return ""
        self.rotations += 1
        way = self._chance.choice(KINDS[self.kind])
        lines = (self._live_from, self.written)
        if way.startswith("copytruncate"):
            self._shift()
            shutil.copyfile(self.path, self._member(1))
            os.ftruncate(self._file, 0)
            moved = self._member(1)
        else:
            moved = self._rename(way)
            os.close(self._file)
            self._file = self._open()
        self._live_from = self.written
        self._members[moved.stat().st_ino] = lines
        if way.endswith("compress") and way != "delaycompress":
            self._compress(moved)
        return f"{way} {lines[0]}-{lines[1]}"

    def _rename(self, way: str) -> Path:
        if way.startswith("dated"):
            target = self.path.with_name(f"{self.path.name}-{20260101 + self.rotations:08d}")
        elif way == "olddir":
            target = self.path.parent / "old" / f"{self.path.name}-{20260101 + self.rotations:08d}"
            target.parent.mkdir(exist_ok=True)
        else:
            before = self._member(1)
            if way == "delaycompress" and before.exists():
                self._compress(before)
            self._shift()
            target = before
        self.path.rename(target)
        return target

    def _member(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self) -> None:
        """Move ``.1`` to ``.2`` and so on, compressed members, too."""
        numbered = re.compile(rf"{re.escape(self.path.name)}\.(\d+)((?:\.\w+)?)")
        found = [(int(m[1]), m[2], p) for p in self.path.parent.iterdir() if (m := numbered.fullmatch(p.name))]
        for number, end, path in sorted(found, reverse=True):
            path.rename(self.path.with_name(f"{self.path.name}.{number + 1}{end}"))

    def _compress(self, path: Path) -> None:
        """Compress as logrotate does: straight under the new name, the old one's time, then the old one goes."""
        suffix = self._chance.choice(list(_PACK))
        packed = path.with_name(f"{path.name}{suffix}")
        with path.open("rb") as source, _PACK[suffix](packed, "wb") as target:
            shutil.copyfileobj(source, target)
        status = path.stat()
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        self._members[packed.stat().st_ino] = self._members.pop(status.st_ino)
        path.unlink()

    def delete(self, delivered: Callable[[str, int, int], bool], keep: int) -> Iterator[str]:
        """Delete old members whose lines are all ``delivered(writer, first, end)``, but ``keep`` of them."""
        found = []
        for folder in (self.path.parent, self.path.parent / "old"):
            for path in folder.glob(f"{self.path.name}[.-]*") if folder.is_dir() else ():
                lines = self._members.get(path.stat().st_ino)
                if lines:
                    found.append((lines, path))
        for lines, path in sorted(found)[: max(0, len(found) - keep)]:
            if delivered(self.name, *lines):
                del self._members[path.stat().st_ino]
                path.unlink()
                yield f"{path.name} {lines[0]}-{lines[1]}"

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
