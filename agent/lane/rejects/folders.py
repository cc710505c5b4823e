"""Where rejects are: ``STATE_DIR/rejects/<destination>/<number>.jsonl``, and the one lock for changing any of it."""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERED = re.compile(r"\d{20}\.jsonl")
LOCK = "lock"


def root(state_dir: Path) -> Path:
    """Return the folder of all rejects of an agent."""
    return state_dir / "rejects"


def files(folder: Path) -> list[Path]:
    """Return the files of one destination, oldest first. Raises ``OSError`` when the folder cannot be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - Path.glob would pass over a missing permission in silence
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(filter(_NUMBERED.fullmatch, names))]


def half_written(path: Path) -> Path:
    """Return where the successor of a file is made; after a crash, what is there counts for nothing."""
    return path.with_suffix(".new")


def all_files(rejects: Path) -> list[Path]:
    """Return the files of every destination below ``rejects``, oldest first: their names are times."""
    try:
        with os.scandir(rejects) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted((path for folder in folders for path in files(folder)), key=lambda path: (path.name, path))


@contextmanager
def locked(rejects: Path) -> Iterator[None]:
    """Hold the lock below ``rejects``, waiting for it: nobody else appends, rewrites or removes meanwhile.

    It works between processes and between threads, and ends with whoever holds it.
    """
    descriptor = os.open(rejects / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        belong(descriptor, rejects)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def belong(descriptor: int, folder: Path) -> None:
    """Give a file to the owner of ``folder``: what root's command leaves behind, the agent must be able to change."""
    owner, now = folder.stat(), os.fstat(descriptor)
    if (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid) and os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def fsync(folder: Path) -> None:
    """Make what was created, renamed or removed in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
