"""The input of the benchmarks: files of numbered lines, made once and used by every run."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MARK = "5f6f2b1e-0c3f-4a55-9f1d-"
"""What stands before the twelve digits of a line's number, by which the sinks know it in any format."""

TENTH = "access"
"""The subsystem of every tenth line, where a filter is to drop the others."""


def line(n: int, size: int) -> bytes:
    """Return one access record of ``size`` bytes, line feed included."""
    return _padded({"n": n, **_record(n)}, size)


def mixed(n: int, size: int) -> bytes:
    """Return one record that names its subsystem: every tenth ``TENTH``, the others ``logs``."""
    return _padded({"n": n, "log_type": "logs" if n % 10 else TENTH, **_record(n)}, size)


def text(n: int, size: int) -> bytes:
    """Return one line of plain text, as programs write to syslog."""
    start = (
        f"2026-05-04T12:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z edge-07 sshd[{1000 + n % 9000}]: "
        f"Accepted publickey for u-{n % 997} from 192.0.2.{n % 256} port {n % 60000} ssh2: id {MARK}{n:012d} "
    )
    return start.encode().ljust(size - 1, b"x") + b"\n"


def stamped(n: int, size: int = 0) -> bytes:
    """Return a line that tells when it was written, to the microsecond."""
    return _padded({"n": n, "request_id": f"{MARK}{n:012d}@{time.time_ns() // 1000:016d}"}, size)


def _record(n: int) -> dict[str, object]:
    return {
        "time": f"2026-05-04T12:{n // 60 % 60:02d}:{n % 60:02d}.{n % 1000:03d}Z",
        "method": "GET",
        "path": f"/reports/{n % 9973}/q1.pdf",
        "response_code": 200,
        "sub": f"u-{n % 997}",
        "http_user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "request_id": f"{MARK}{n:012d}",
    }


def _padded(record: dict[str, object], size: int) -> bytes:
    bare = json.dumps(record).encode()
    missing = size - len(bare) - len(', "pad": ""') - 1
    return bare + b"\n" if missing < 0 else bare[:-1] + b', "pad": "' + b"x" * missing + b'"}\n'


@dataclass(frozen=True, kw_only=True)
class Input:
    """Which lines, in how many files."""

    lines: int = 1_000_000
    size: int = 365
    form: str = "json"
    """``json``, ``mixed`` or ``text``."""
    files: int = 1
    compressed: bool = False

    def write(self, folder: Path) -> str:
        """Write the files below ``folder`` unless they are there; return the pattern that names them."""
        name = f"{self.form}-{self.lines}-{self.size}-{self.files}{'-gz' if self.compressed else ''}"
        home = folder / name
        suffix = ".log.gz" if self.compressed else ".log"
        if not home.exists():
            part = folder / f"{name}.part"
            part.mkdir()
            each = -(-self.lines // self.files)
            for number in range(self.files):
                numbers = range(number * each, min(self.lines, (number + 1) * each))
                self._write(part / f"app{number}{suffix}", numbers)
            part.rename(home)
        return str(home / (f"app0{suffix}" if self.files == 1 else f"app*{suffix}"))

    def _write(self, path: Path, numbers: range) -> None:
        make = {"json": line, "mixed": mixed, "text": text}[self.form]
        with gzip.open(path, "wb", 6) if self.compressed else path.open("wb", buffering=1 << 20) as out:
            for n in numbers:
                out.write(make(n, self.size))
