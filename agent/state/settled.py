"""Settled marks: how far each lane has settled each stream since its cursor was last committed."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from agent.state.marks import Marks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Settled:
    """One mark for each lane and stream. A mark never outlives the cursor it runs ahead of."""

    def __init__(self, path: Path | None) -> None:
        """Keep the marks at ``path``, None: nowhere. Touches nothing."""
        self._marks = Marks(path)
        self._keys: dict[str, dict[str, str]] = {}
        """Stream → lane → key of the mark."""

    def put(self, lane: str, stream: str, position: int) -> None:
        """Note that ``lane`` has settled ``stream`` up to ``position``."""
        keys = self._keys.setdefault(stream, {})
        key = keys.get(lane)
        if key is None:
            key = keys[lane] = _key(lane, stream)
        self._marks.put(key, position)

    def ahead(self, cursors: Iterable[tuple[str, str, int]]) -> list[tuple[int, str, str]]:
        """Return (position, lane, stream) for each of the (lane, stream, position) that a mark is ahead of."""
        keys = {_key(lane, stream): (lane, stream, position) for lane, stream, position in cursors}
        self._marks.recall(keys)
        found = [(self._marks.get(key)[0], *cursor) for key, cursor in keys.items()]
        return [(mark, lane, stream) for mark, lane, stream, position in found if mark > position]

    def forget_stream(self, stream: str) -> None:
        """Drop what is known of a stream that is no more."""
        self._drop(self._keys.pop(stream, {}).values())

    def forget_lane(self, lane: str) -> None:
        """Drop what is known of a lane whose cursors are dropped."""
        self._drop([keys.pop(lane) for keys in self._keys.values() if lane in keys])

    def _drop(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._marks.put(key, 0)
            self._marks.forget(key)

    def clear(self) -> None:
        """Forget every mark."""
        self._marks.clear()

    def close(self) -> None:
        """Close the file."""
        self._marks.close()


def _key(lane: str, stream: str) -> str:
    return blake2b(f"{lane}\0{stream}".encode(), digest_size=16).hexdigest()
