"""A backlog of many gigabytes, written as fast as the disk takes it, and rotated as logrotate would."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING

from bench import common
from bench.lines import MARK

if TYPE_CHECKING:
    from pathlib import Path

FIRST = 10**8
"""The number of the first line. All have nine digits, so all lines are of one length."""
BLOCK = 10_000
"""Lines written at a time; they differ from those of other blocks in the leading digits of their numbers."""


def append(path: Path, start: int, count: int, line_bytes: int) -> None:
    """Append ``count`` lines, the first of which is number ``start`` of the backlog; both are multiples of BLOCK."""
    first = FIRST + start
    block = b"".join(common.line(first + n, line_bytes) for n in range(BLOCK))
    with path.open("ab", buffering=0) as log:
        for at in range(first, first + count, BLOCK):
            written = block
            for old, new in zip(_leading(first), _leading(at), strict=True):
                written = written.replace(old, new)
            log.write(written)


def _leading(first: int) -> tuple[bytes, bytes]:
    """Return what stands before the last four digits wherever a line of the block bears its number."""
    return b'"n": %d' % (first // BLOCK), b"%b%08d" % (MARK.encode(), first // BLOCK)


def rotate(path: Path, *, compress: int) -> None:
    """Rename ``path`` to ``.1`` and the older members one further, then compress member ``compress`` if it is plain."""
    members = sorted(path.parent.glob(f"{path.name}.*"), key=lambda p: int(p.name.split(".")[2]), reverse=True)
    for member in members:
        base, number, *gz = member.name.rsplit(".", 2) if member.suffix == ".gz" else member.name.rsplit(".", 1)
        member.rename(member.with_name(".".join([base, str(int(number) + 1), *gz])))
    path.rename(f"{path}.1")
    plain = path.with_name(f"{path.name}.{compress}")
    if plain.exists():
        with plain.open("rb") as source, gzip.open(f"{plain}.gz", "wb", compresslevel=1) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        plain.unlink()
