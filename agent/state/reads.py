"""Read marks: how far each stream was read, and the tail mark there, written before a byte of it is sent.

Cursors only tell what was settled. Between them and these marks lie the bytes that may have been sent under ids of
their own: at the next start a file continues its stream only if it has them, too. One record for each stream,
overwritten in place without an fsync: it outlives the process at the price of one small write for each block.
"""

from __future__ import annotations

import os
import struct
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

log = structlog.get_logger(__name__)

_RECORD = struct.Struct("<16sQ16s24s")  # stream, offset, mark, checksum
_BYTES = 64
"""Never across a page, so that a kill leaves no half record; one that is torn all the same does not count."""


class ReadMarks:
    """The marks of all streams of one state. Opens its file when the first mark is asked for or put."""

    def __init__(self, path: Path | None) -> None:
        """Keep the marks at ``path``, None: nowhere. Touches nothing."""
        self._path = path
        self._descriptor = -1
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._end = 0
        self._failing = False

    def recall(self, known: Container[str]) -> None:
        """Find the marks of an earlier run; those of streams that are not ``known`` make room."""
        if self._path is None or self._descriptor >= 0:
            return
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            data = self._path.read_bytes()
        except OSError as error:
            self._failed(self._path, error)
            return
        self._end = len(data) // _BYTES
        for slot in range(self._end):
            found = _unpacked(data[slot * _BYTES : (slot + 1) * _BYTES])
            if found is not None and found[0] in known:
                self._slots[found[0]] = slot
            else:
                self._free.append(slot)

    def get(self, stream: str) -> tuple[int, bytes]:
        """Return the (offset, tail mark) put last for ``stream``; (0, b"") when none is known."""
        slot = self._slots.get(stream)
        found = None if slot is None else _unpacked(os.pread(self._descriptor, _BYTES, slot * _BYTES))
        return found[1:] if found else (0, b"")

    def put(self, stream: str, offset: int, mark: bytes) -> None:
        """Note that ``stream`` was read up to ``offset``. A disk that fails costs the proof, not the delivery."""
        self.recall(())
        if self._path is None or self._descriptor < 0:
            return
        slot = self._slots.get(stream)
        if slot is None:
            slot = self._slots[stream] = self._free.pop() if self._free else self._grow()
        try:
            os.pwrite(self._descriptor, _packed(stream, offset, mark), slot * _BYTES)
            self._failing = False
        except OSError as error:
            self._failed(self._path, error)

    def _grow(self) -> int:
        self._end += 1
        return self._end - 1

    def _failed(self, path: Path, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            log.warning("read_mark_failed", path=str(path), error=error.strerror)

    def forget(self, stream: str) -> None:
        """Give the room of a stream that is no more to another one."""
        slot = self._slots.pop(stream, None)
        if slot is not None:
            self._free.append(slot)

    def close(self) -> None:
        """Close the file, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _packed(stream: str, offset: int, mark: bytes) -> bytes:
    named = bytes.fromhex(stream)
    return _RECORD.pack(named, offset, mark, _checksum(named, offset, mark))


def _unpacked(record: bytes) -> tuple[str, int, bytes] | None:
    """Return (stream, offset, mark), None when the record is torn or was never written."""
    if len(record) < _BYTES:
        return None
    named, offset, mark, checksum = _RECORD.unpack(record)
    return (named.hex(), offset, mark) if checksum == _checksum(named, offset, mark) else None


def _checksum(named: bytes, offset: int, mark: bytes) -> bytes:
    return blake2b(named + offset.to_bytes(8, "little") + mark, digest_size=24).digest()
