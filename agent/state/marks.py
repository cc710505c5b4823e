"""Marks: offsets that outlive a kill at the price of one small write each, without an fsync and without a database.

*Read marks* tell how far each stream was read, with the tail mark there, before a byte of it is sent. Between them and
the cursors lie the bytes that may have been sent under ids of their own: at the next start a file continues its stream
only if it has them, too. *Settled marks* tell how far a lane has settled a stream since cursors were last committed, so
that a kill sends again what was in flight, not what was delivered in the last moments before.

One record for each key, overwritten in place.
"""

from __future__ import annotations

import os
import struct
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

log = structlog.get_logger(__name__)

_RECORD = struct.Struct("<16sQ16s24s")  # key, offset, mark, checksum
_SAID_SECONDS = 60.0
_BYTES = 64
"""Never across a page, so that a kill leaves no half record; one that is torn all the same does not count."""


class Marks:
    """Offsets by key, 32 hex digits. Opens its file when the first mark is asked for or put."""

    def __init__(self, path: Path | None) -> None:
        """Keep the marks at ``path``, None: nowhere. Touches nothing."""
        self._path = path
        self._descriptor = -1
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._end = 0
        self._said_at = -_SAID_SECONDS

    def recall(self, known: Container[str]) -> None:
        """Find the marks of an earlier run; those of keys that are not ``known`` make room."""
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

    def get(self, key: str) -> tuple[int, bytes]:
        """Return the (offset, tail mark) put last for ``key``; (0, b"") when none is known."""
        slot = self._slots.get(key)
        found = None if slot is None else _unpacked(os.pread(self._descriptor, _BYTES, slot * _BYTES))
        return found[1:] if found else (0, b"")

    def put(self, key: str, offset: int, mark: bytes = b"") -> None:
        """Note ``offset`` for ``key``. A disk that fails costs the proof, not the delivery."""
        self.recall(())
        if self._path is None or self._descriptor < 0:
            return
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = self._free.pop() if self._free else self._grow()
        try:
            os.pwrite(self._descriptor, _packed(key, offset, mark), slot * _BYTES)
        except OSError as error:
            self._failed(self._path, error)

    def _grow(self) -> int:
        self._end += 1
        return self._end - 1

    def _failed(self, path: Path, error: OSError) -> None:
        # On a full disk a new record fails and an old one does not: once a minute is enough.
        if time.monotonic() - self._said_at >= _SAID_SECONDS:
            self._said_at = time.monotonic()
            log.warning("mark_failed", path=str(path), error=error.strerror)

    def forget(self, key: str) -> None:
        """Give the room of a key that is no more to another one."""
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._free.append(slot)

    def clear(self) -> None:
        """Forget every mark, on disk, too."""
        self._slots.clear()
        self._free.clear()
        self._end = 0
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Close the file, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _packed(key: str, offset: int, mark: bytes) -> bytes:
    named = bytes.fromhex(key)
    mark = mark.ljust(16, b"\0")
    return _RECORD.pack(named, offset, mark, _checksum(named, offset, mark))


def _unpacked(record: bytes) -> tuple[str, int, bytes] | None:
    """Return (key, offset, mark), None when the record is torn or was never written."""
    if len(record) < _BYTES:
        return None
    named, offset, mark, checksum = _RECORD.unpack(record)
    return (named.hex(), offset, mark) if checksum == _checksum(named, offset, mark) else None


def _checksum(named: bytes, offset: int, mark: bytes) -> bytes:
    return blake2b(named + offset.to_bytes(8, "little") + mark, digest_size=24).digest()
