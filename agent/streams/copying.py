"""Copying a file bit by bit, on threads: gigabytes must not hold up whatever else runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio.to_thread

if TYPE_CHECKING:
    from pathlib import Path

PIECE_BYTES = 1 << 20
_SPARE_BYTES = 64 << 20
_SPARE_SHARE = 20


async def append(source: int, path: str, *, skip: int, most: int) -> None:
    """Append to the file at ``path``, which is made if need be, what it does not have yet of ``source``.

    Its first byte is the byte ``skip`` of ``source``, a descriptor; at most ``most`` bytes are appended. On disk, its
    name included, when this returns. May be cancelled between two pieces of 1 MiB. Raises ``OSError``.
    """
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        have = os.fstat(target).st_size
        end = have + most
        while have < end:
            copied = await anyio.to_thread.run_sync(_piece, source, target, skip, have, min(PIECE_BYTES, end - have))
            if not copied:
                break
            have += copied
        await anyio.to_thread.run_sync(_sync, target, os.path.dirname(path))
    finally:
        os.close(target)


def _piece(source: int, target: int, skip: int, at: int, size: int) -> int:
    """Copy up to ``size`` bytes and return how many that were; none at the end of ``source``."""
    data = memoryview(os.pread(source, size, skip + at))
    copied = 0
    while copied < len(data):
        copied += os.pwrite(target, data[copied:], at + copied)
    return copied


def _sync(target: int, folder: str) -> None:
    os.fsync(target)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Return how many bytes may still be written below ``folder``, which need not exist yet.

    A share of the disk, 64 MiB at most, is left for the state and the host; negative when that much is not free.
    """
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    spare = min(_SPARE_BYTES, found.f_blocks * found.f_frsize // _SPARE_SHARE)
    return found.f_bavail * found.f_frsize - spare
