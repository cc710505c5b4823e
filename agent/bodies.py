"""Events that are put together only when somebody asks for their bytes.

What differs between the events of a chunk is where each line stands and what is in it; the rest is one template. So the
events of a whole request are written by one format operation, straight into the request's body, and an event by itself
exists only where one is needed: in a file, in rejects, in a request sent again in part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import overload


class Wrapped(Sequence[bytes]):
    """The events ``shape % (offsets[i], rests[i])``.

    All offsets have the same number of hex digits, so that every event is ``fixed`` bytes longer than its rest. Where
    the lines follow each other up to the offset ``end`` and each rest is its line without ``trimmed`` bytes, how long
    the rests are together is known without looking at them; otherwise ``end`` is None.
    """

    __slots__ = ("end", "fixed", "offsets", "rests", "shape", "trimmed")

    def __init__(
        self, shape: bytes, offsets: Sequence[int], rests: Sequence[bytes], *, end: int | None = None, trimmed: int = 0
    ) -> None:
        """Keep the parts; ``offsets`` ascends within one number of hex digits."""
        self.shape = shape
        self.offsets = offsets
        self.rests = rests
        self.fixed = len(shape % (offsets[0], b"")) if offsets else 0
        self.end = end if offsets else None
        self.trimmed = trimmed

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.rests)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Wrapped: ...

    def __getitem__(self, index: int | slice) -> bytes | Wrapped:
        """Return one event, or some of them, still apart."""
        if not isinstance(index, slice):
            return self.shape % (self.offsets[index], self.rests[index])
        end = self.end
        if end is not None:
            _start, stop, step = index.indices(len(self.rests))
            end = None if step != 1 else self.offsets[stop] if stop < len(self.offsets) else end
        return Wrapped(self.shape, self.offsets[index], self.rests[index], end=end, trimmed=self.trimmed)

    @property
    def size(self) -> int:
        """The bytes of all events together."""
        if self.end is None:
            return sum(map(len, self.rests)) + len(self.rests) * self.fixed
        return self.end - self.offsets[0] + len(self.rests) * (self.fixed - self.trimmed)

    def fitting(self, start: int, stop: int, room: int) -> int | None:
        """Return where the events from ``start`` on, at most to ``stop``, are more than ``room`` bytes.

        None where only counting would tell.
        """
        end = self.end
        if end is None:
            return None
        offsets, more = [*self.offsets[start + 1 : stop + 1], end], self.fixed - self.trimmed
        first = self.offsets[start]
        return start + bisect_right(range(stop - start), room, key=lambda n: offsets[n] - first + more * (n + 1))

    def __iter__(self) -> Iterator[bytes]:
        """Return the events one after the other."""
        return (self.shape % pair for pair in zip(self.offsets, self.rests, strict=True))

    def pick(self, indices: Sequence[int]) -> Wrapped:
        """Return the events at ``indices``, still apart."""
        return Wrapped(self.shape, [self.offsets[i] for i in indices], [self.rests[i] for i in indices])

    def values(self) -> list[int | bytes]:
        """Return what the shapes of all events are filled with."""
        values: list[int | bytes] = [b""] * (2 * len(self.rests))
        values[0::2] = self.offsets
        values[1::2] = self.rests
        return values


@lru_cache(maxsize=1)
def _repeated(shape: bytes, count: int, before: bytes, between: bytes, after: bytes) -> bytes:
    """Return one template for ``count`` events; the same for all requests made of one chunk, but for the last."""
    return b"".join((_literal(before), (shape + _literal(between)) * (count - 1), shape, _literal(after)))


def _literal(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


def wrapped(
    shape: bytes, offsets: Sequence[int], rests: Sequence[bytes], *, end: int | None = None, trimmed: int = 0
) -> Sequence[bytes]:
    """Return the events ``shape % (offsets[i], rests[i])``; ``offsets`` ascends. The rest as in ``Wrapped``."""
    if len(b"%x" % offsets[0]) == len(b"%x" % offsets[-1]):
        return Wrapped(shape, offsets, rests, end=end, trimmed=trimmed)
    return [shape % pair for pair in zip(offsets, rests, strict=True)]


class Chained(Sequence[bytes]):
    """Several sequences of events, one after the other."""

    __slots__ = ("_ends", "parts")

    def __init__(self, parts: Sequence[Sequence[bytes]]) -> None:
        """Keep the parts as they are."""
        self.parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        """Return the number of events."""
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return one event, or some of them."""
        if isinstance(index, slice):
            return list(self)[index]
        at = index + len(self) if index < 0 else index
        start = 0
        for part, end in zip(self.parts, self._ends, strict=True):
            if start <= at < end:
                return part[at - start]
            start = end
        raise IndexError(index)

    def __iter__(self) -> Iterator[bytes]:
        """Return the events one after the other."""
        return chain.from_iterable(self.parts)


def chained(parts: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """Return the events of all ``parts`` as one sequence."""
    return parts[0] if len(parts) == 1 else Chained(parts)


def parts(bodies: Sequence[bytes]) -> Sequence[Sequence[bytes]]:
    """Return the sequences that ``bodies`` was chained from."""
    return bodies.parts if isinstance(bodies, Chained) else (bodies,)


def lengths(bodies: Sequence[bytes]) -> list[int]:
    """Return the bytes of each event."""
    if isinstance(bodies, Wrapped):
        fixed = bodies.fixed
        return [len(rest) + fixed for rest in bodies.rests]
    return list(map(len, bodies))


def total(bodies: Sequence[bytes]) -> int:
    """Return the bytes of all events together."""
    if isinstance(bodies, Wrapped):
        return bodies.size
    if isinstance(bodies, Chained):
        return sum(map(total, bodies.parts))
    return sum(map(len, bodies))


def picked(bodies: Sequence[bytes], indices: Sequence[int]) -> Sequence[bytes]:
    """Return the events at ``indices``."""
    return bodies.pick(indices) if isinstance(bodies, Wrapped) else [bodies[i] for i in indices]


def join(bodies: Sequence[bytes], *, before: bytes = b"", between: bytes = b"", after: bytes = b"") -> bytes:
    """Return all events in one piece: ``before``, the events with ``between`` between them, ``after``."""
    filled = [part for part in parts(bodies) if part]
    if not filled:
        return before + after
    first = filled[0]
    if len(filled) == 1 and isinstance(first, Wrapped):
        return _repeated(first.shape, len(first), before, between, after) % tuple(first.values())
    if not any(isinstance(part, Wrapped) for part in filled):
        events = list(chain.from_iterable(filled))
        events[0] = before + events[0]  # around all of them it would be one more copy of a megabyte
        events[-1] += after
        return between.join(events)
    gap, template = _literal(between), [_literal(before)]
    values: list[int | bytes] = []
    for number, part in enumerate(filled):
        shape = part.shape if isinstance(part, Wrapped) else b"%b"
        template += (gap if number else b"", (shape + gap) * (len(part) - 1), shape)
        values += part.values() if isinstance(part, Wrapped) else part
    return b"".join((*template, _literal(after))) % tuple(values)
