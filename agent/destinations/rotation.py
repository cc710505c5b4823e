"""Rotated files: their names, how many are kept, and gzip. Blocking; runs in a worker thread (WIRE 5.1)."""

from __future__ import annotations

import os
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK_BYTES = 256 * 1024
_STAMP = r"\d{8}T\d{6}\.\d{3}"
_TEMPORARY = ".gz.tmp"


def rotated_name(live: Path, now: datetime) -> Path:
    """Return a free name ``<stem>-<UTC yyyymmddThhmmss.mmm><ext>`` beside ``live``."""
    when = now.astimezone(UTC)
    while True:
        stamp = f"{when:%Y%m%dT%H%M%S}.{when.microsecond // 1000:03d}"
        name = live.with_name(f"{live.stem}-{stamp}{live.suffix}")
        if not name.exists() and not name.with_name(name.name + ".gz").exists():
            return name
        when += timedelta(milliseconds=1)


def backups(live: Path) -> list[Path]:
    """Return the rotated files of ``live``, oldest first; never a file whose name is not of our making."""
    ours = re.compile(rf"{re.escape(live.stem)}-{_STAMP}{re.escape(live.suffix)}(\.gz)?", re.ASCII)
    return sorted(
        (p for p in live.parent.iterdir() if ours.fullmatch(p.name)),
        key=lambda p: p.name.removesuffix(".gz"),
    )


def prune(live: Path, *, keep: int) -> list[Path]:
    """Delete all but the newest ``keep`` rotated files; return what was deleted."""
    old = backups(live)[:-keep]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def clean(live: Path) -> None:
    """Remove what a crash in the middle of ``compress`` left: half a copy, or the original of a whole one."""
    ours = re.compile(rf"{re.escape(live.stem)}-{_STAMP}{re.escape(live.suffix + _TEMPORARY)}", re.ASCII)
    for path in live.parent.iterdir():
        if ours.fullmatch(path.name):
            path.unlink(missing_ok=True)
    names = set(backups(live))
    for path in names:
        if path.suffix != ".gz" and path.with_name(path.name + ".gz") in names:
            path.unlink(missing_ok=True)


def compress(path: Path, *, stopped: Callable[[], bool]) -> bool:
    """Replace ``path`` by ``path.gz``; False when ``stopped`` said so, and ``path`` is as it was.

    The copy is complete and on disk before it takes its name, and only then does the original go.
    """
    temporary = path.with_name(path.name + _TEMPORARY)
    packer = zlib.compressobj(level=6, wbits=31)
    try:
        with path.open("rb") as source, open(temporary, "wb", opener=_private) as target:
            while chunk := source.read(CHUNK_BYTES):
                if stopped():
                    return False
                target.write(packer.compress(chunk))
            target.write(packer.flush())
            target.flush()
            os.fsync(target.fileno())
        temporary.rename(path.with_name(path.name + ".gz"))
    finally:
        temporary.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return True


def _private(name: str, flags: int) -> int:
    """Open for the owner only."""
    return os.open(name, flags, 0o600)
