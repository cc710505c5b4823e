"""A writer of numbered log lines that rotates its file; it remembers the truth: every line it wrote.

As a process it writes until it is ended: ``python -m tests.support.logwriter FILE --rate 2000 --rotate 0.5``. Each line
is one ``write``, so a line that is in the file or one of its rotated members was written whole.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path


class LogWriter:
    """Appends JSON lines ``{"n": …, "w": …, "pad": …}`` to a file."""

    def __init__(self, path: Path, *, writer: str = "w", pad: int = 60) -> None:
        """Write to ``path``; ``writer`` tells several writers apart."""
        self.path = path
        self.written = 0
        self._writer = writer
        self._pad = "x" * pad
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def line(self) -> bytes:
        """Return the next line without writing it."""
        return json.dumps({"n": self.written, "w": self._writer, "pad": self._pad}).encode() + b"\n"

    def write(self, lines: int = 1) -> None:
        """Append ``lines`` lines, each by one write."""
        for _ in range(lines):
            os.write(self._file, self.line())
            self.written += 1

    def write_at_once(self, lines: int) -> None:
        """Append ``lines`` lines by one write."""
        data = []
        for _ in range(lines):
            data.append(self.line())
            self.written += 1
        os.write(self._file, b"".join(data))

    def rotate(self, keep: int = 1000) -> None:
        """Rename ``a.log`` to ``a.log.1``, ``a.log.1`` to ``a.log.2`` and so on, then begin a new file."""
        members = [self.path.with_name(f"{self.path.name}.{n}") for n in range(1, keep + 1)]
        existing = [m for m in members if m.exists()]
        for member in reversed(existing):
            number = int(member.suffix[1:])
            member.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.rename(members[0])
        self.reopen()

    def reopen(self) -> None:
        """Open the path anew, as a program does that was told that its log was rotated."""
        os.close(self._file)
        self._file = self._open()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def main() -> None:
    """Write until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=1000.0, help="lines a second")
    parser.add_argument("--rotate", type=float, default=0.0, metavar="SECONDS", help="rotate this often")
    arguments = parser.parse_args()
    writer = LogWriter(arguments.file)
    next_rotation = time.monotonic() + arguments.rotate
    while True:
        writer.write(max(1, int(arguments.rate / 100)))
        if arguments.rotate and time.monotonic() >= next_rotation:
            writer.rotate()
            next_rotation = time.monotonic() + arguments.rotate
        time.sleep(0.01)


if __name__ == "__main__":
    main()
