"""How much all requests together may hold in memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class OverloadedError(Exception):
    """More is being received and stored than may be at a time."""


class Budget:
    """Bytes that may be held at a time; each request takes as its body grows and gives back all when it is answered."""

    def __init__(self, limit: int) -> None:
        """Allow ``limit`` bytes; a request that is alone may be larger."""
        self._limit = limit
        self._held = 0

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Yield the function that takes bytes for one request; negative: gives back. Raises ``OverloadedError``."""
        own = 0

        def take(size: int) -> None:
            nonlocal own
            if size > 0 and self._held > own and self._held + size > self._limit:
                raise OverloadedError
            own += size
            self._held += size

        try:
            yield take
        finally:
            self._held -= own
