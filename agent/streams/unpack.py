"""Decompressors of one open file: the exact ones of the standard library, and a quick one for gzip.

The quick one expands several times faster, and gives the same bytes of every file that is whole. Of a damaged one it
gives less, and it refuses a wrong checksum of a header, which nobody else looks at: what it refuses is read again by
the exact one, whose word counts.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from typing import TYPE_CHECKING, Any, cast

try:
    from isal import igzip, isal_zlib
except ImportError:  # no wheel for this processor
    _QUICK: Any = None
    _QUICK_ERRORS: tuple[type[Exception], ...] = ()
else:
    _QUICK = igzip.IGzipFile
    _QUICK_ERRORS = (cast("type[Exception]", isal_zlib.error), OverflowError)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from typing_extensions import Buffer as WriteableBuffer

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, ValueError)
"""What exact decompressors raise on a member that is cut off or not what its name says."""

REFUSED: tuple[type[Exception], ...] = (*DAMAGED, *_QUICK_ERRORS)
"""What the quick one raises."""

_PIECE_BYTES = 1 << 16


def has_quick(path: str) -> bool:
    """Tell whether the quick decompressor knows the format of ``path``."""
    return _QUICK is not None and path.endswith(".gz")


def unpacked(path: str, descriptor: int, *, quick: bool) -> io.BufferedIOBase:
    """Return what the file expands to, from its start, in the format that the name ``path`` tells."""
    raw: Any = _FromStart(descriptor)
    if quick:
        return cast("io.BufferedIOBase", _QUICK(fileobj=raw, mode="rb"))
    raw = io.BufferedReader(raw, _PIECE_BYTES)
    if path.endswith(".gz"):
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if path.endswith(".bz2"):
        return bz2.BZ2File(raw, "rb")
    if path.endswith(".zst"):
        return cast("io.BufferedIOBase", zstd.ZstdFile(raw, "rb"))
    return lzma.LZMAFile(raw, "rb")


class _FromStart(io.RawIOBase):
    """The bytes of a shared descriptor, with an offset of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        # A part of the half megabyte that the quick one asks for: what it does not fill costs no memory.
        data = os.pread(self._descriptor, min(len(view), _PIECE_BYTES), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
