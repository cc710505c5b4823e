"""Log files that are written to and rotated in every way; each keeps the truth of what it wrote."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from pathlib import Path


class Log:
    """One log file with its rotated members. Rotation pauses the writer, so that the truth is exact."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        """Begin an empty file; ``chance`` decides what happens to it."""
        self.path = path
        self.name = path.stem
        self.written = 0
        self.rotations = 0
        self._chance = chance
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, lines: int) -> None:
        """Append ``lines`` lines, now and then in two halves."""
        for _ in range(lines):
            pad = "x" * self._chance.choice((0, 10, 100, 2000))
            line = json.dumps({"n": self.written, "w": self.name, "pad": pad}).encode() + b"\n"
            cut = self._chance.randrange(len(line)) if self._chance.random() < 0.05 else 0
            for part in (line[:cut], line[cut:]):
                if part:
                    os.write(self._file, part)
            self.written += 1

    def rotate(self) -> str:
        """Rotate in one of the ways; return which."""
        if not self.path.stat().st_size:
            return "nothing"
        self.rotations += 1
        way = self._chance.choice(("create", "copytruncate", "compress", "dated"))
        if way == "copytruncate":
            self._shift()
            shutil.copyfile(self.path, self._member(1))
            os.ftruncate(self._file, 0)
            return way
        if way == "dated":
            self.path.rename(self.path.with_name(f"{self.path.name}-{20260101 + self.rotations:08d}"))
        else:
            self._shift()
            self.path.rename(self._member(1))
        os.close(self._file)
        self._file = self._open()
        if way == "compress":
            self._compress(self._member(1))
        return way

    def _member(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self) -> None:
        """Move ``.1`` to ``.2`` and so on, compressed members, too."""
        numbered = sorted(
            (int(p.name.removeprefix(f"{self.path.name}.").removesuffix(".gz")), p)
            for p in self.path.parent.glob(f"{self.path.name}.*")
            if p.name.removeprefix(f"{self.path.name}.").removesuffix(".gz").isdigit()
        )
        for number, path in reversed(numbered):
            end = ".gz" if path.name.endswith(".gz") else ""
            path.rename(self.path.with_name(f"{self.path.name}.{number + 1}{end}"))

    @staticmethod
    def _compress(path: Path) -> None:
        part = path.with_name(f"{path.name}.gz")
        with path.open("rb") as source, gzip.open(part, "wb") as target:
            shutil.copyfileobj(source, target)
        status = path.stat()
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()

    def truth(self) -> list[tuple[str, int]]:
        """Return every line that was written."""
        return [(self.name, n) for n in range(self.written)]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
