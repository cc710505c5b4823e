"""gzip data from outside, expanded in steps: a few bytes of a bomb may be as much as there is memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_BYTES = 1 << 18
MAX_MEMBERS = 10_000
"""Of one body (RFC 1952 2.2 allows several): empty ones cost time and count nowhere else."""

_GZIP = 31
_EITHER = 47
"""gzip or zlib, whichever it is."""


class GunzipError(ValueError):
    """The data is no gzip; the text says why."""


class Gunzip:
    """Expands one body, of one gzip member or several. The caller stops when it has seen enough."""

    def __init__(self, *, or_zlib: bool = False) -> None:
        """Expect the first byte; with ``or_zlib`` the body may be what HTTP calls ``deflate`` instead."""
        self._format = _EITHER if or_zlib else _GZIP
        self._member = zlib.decompressobj(self._format)
        self._members = 1

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` expands to, at most ``STEP_BYTES`` at a time. Raises ``GunzipError``."""
        while data:
            if self._member.eof:
                self._next_member()
            try:
                part = self._member.decompress(data, STEP_BYTES)
            except zlib.error as error:
                raise GunzipError(f"not gzip: {error}") from error
            if part:
                yield part
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def _next_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise GunzipError(f"more than {MAX_MEMBERS} gzip members")
        self._member = zlib.decompressobj(self._format)

    @property
    def is_whole(self) -> bool:
        """Whether the last member that began has also ended."""
        return self._member.eof
