"""The settled prefix per stream: how far a cursor may move."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.events import Slice


class _Span:
    """A range of a stream of which everything before ``pending`` is settled; ``end`` when all of it is."""

    __slots__ = ("end", "pending")

    def __init__(self, pending: int, end: int) -> None:
        self.pending = pending
        self.end = end


class Acks:
    """Which part of each stream is settled without a gap. Slices of a stream are opened in stream order."""

    def __init__(self, settled: Callable[[str, int], None] | None = None) -> None:
        """Know of no stream yet. ``settled`` is told of each (stream, settled prefix in bytes) that moved."""
        self._settled = settled
        self._open: dict[str, deque[_Span]] = {}
        self._by_slice: dict[int, _Span] = {}
        self._dirty: dict[str, int] = {}

    def open(self, piece: Slice) -> None:
        """Note that ``piece`` was taken up and is not settled."""
        span = _Span(piece.offsets[0], piece.end)
        self._open.setdefault(piece.stream, deque()).append(span)
        self._by_slice[id(piece)] = span

    def advance(self, stream: str, end: int) -> None:
        """Note that nothing is left to settle between what was opened last and ``end``."""
        spans = self._open.get(stream)
        if not spans:
            self._dirty[stream] = end
        elif (last := spans[-1]).pending >= last.end:
            last.pending = last.end = end  # settled, too, behind something that is not: one span for both
        else:
            spans.append(_Span(end, end))

    def settle(self, piece: Slice, first_pending: int | None) -> None:
        """Note that everything of ``piece`` before the offset ``first_pending`` is settled; None: all of it."""
        span = self._by_slice.get(id(piece))
        if span is None:
            return  # settled by an earlier attempt
        if first_pending is None:
            del self._by_slice[id(piece)]
            span.pending = span.end
        else:
            span.pending = first_pending
        spans = self._open[piece.stream]
        while spans:
            first = spans[0]
            self._dirty[piece.stream] = first.pending
            if first.pending < first.end:
                break
            spans.popleft()
        else:
            del self._open[piece.stream]
        if self._settled:
            self._settled(piece.stream, self._dirty[piece.stream])

    def take_dirty(self) -> dict[str, int]:
        """Return stream → settled prefix (offset in bytes) for what moved since the last call."""
        moved, self._dirty = self._dirty, {}
        return moved
