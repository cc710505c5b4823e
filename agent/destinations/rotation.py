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
_STAMP_LENGTH = len("yyyymmddThhmmss.mmm")
_TEMPORARY = ".gz.tmp"
_MILLISECOND = timedelta(milliseconds=1)


def rotated_name(live: Path, now: datetime) -> Path:
    """Return a free name ``<stem>-<UTC yyyymmddThhmmss.mmm><ext>`` beside ``live``, after every other one.

    Names tell the age, also when the clock has been set back: else ``prune`` would delete the newest file.
    """
    old = [when for path in backups(live) if (when := _when(live, path))]
    when = max([now.astimezone(UTC), *(w + _MILLISECOND for w in old[-1:])])
    stamp = f"{when:%Y%m%dT%H%M%S}.{when.microsecond // 1000:03d}"
    return live.with_name(f"{live.stem}-{stamp}{live.suffix}")


def _when(live: Path, rotated: Path) -> datetime | None:
    """Return the time in a rotated file's name, None when it is no time."""
    stamp = rotated.name[len(live.stem) + 1 :][:_STAMP_LENGTH]
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def backups(live: Path) -> list[Path]:
    """Return the rotated files of ``live``, oldest first; never a file whose name is not of our making."""
    ours = re.compile(rf"{re.escape(live.stem)}-{_STAMP}{re.escape(live.suffix)}(\.gz)?", re.ASCII)
    return sorted(
        (p for p in live.parent.iterdir() if ours.fullmatch(p.name) and _when(live, p)),
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
