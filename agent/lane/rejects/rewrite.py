"""Taking rejects out, or replacing them, while others append: a new file takes the place of the old one, whole."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, BinaryIO

from agent.lane.rejects import folders
from agent.lane.rejects.reader import digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.lane.rejects.reader import Key


def rewrite(changes: Mapping[Key, bytes | None]) -> int:
    """Take out each line whose change is None, put the new line (without newline) in the place of each other.

    Every other line stays as it is, also what was appended since the keys were read; keys that are no longer there are
    passed over. Return how many lines were changed; that is durable then. After a crash at any moment each file is the
    old one or the new one. Raises ``OSError``.
    """
    by_file: dict[Path, dict[bytes, bytes | None]] = defaultdict(dict)
    for key, change in changes.items():
        by_file[key.path][key.digest] = change
    changed = 0
    for path, wanted in by_file.items():
        # A lock for each file and not for all: the agent waits for it with every refusal.
        with folders.locked(path.parent.parent):
            changed += _rewrite(path, wanted)
    return changed


def _rewrite(path: Path, wanted: Mapping[bytes, bytes | None]) -> int:
    try:
        old = path.open("rb")
    except FileNotFoundError:
        return 0
    new = folders.half_written(path)
    try:
        with old, os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            folders.belong(out.fileno(), path.parent)
            changed = _copy(old, out, wanted)
            left = out.tell()
            out.flush()
            os.fsync(out.fileno())
        if changed and left:
            new.rename(path)
        elif changed:
            path.unlink()
    finally:
        new.unlink(missing_ok=True)
    folders.fsync(path.parent)
    return changed


def _copy(old: BinaryIO, out: BinaryIO, wanted: Mapping[bytes, bytes | None]) -> int:
    changed = 0
    for line in old:
        if not line.endswith(b"\n"):
            break  # left torn by a crash, never settled
        known = digest(line)
        if known not in wanted:
            out.write(line)
            continue
        changed += 1
        if (change := wanted[known]) is not None:
            out.write(change + b"\n")
    return changed
