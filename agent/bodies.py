"""Events that are put together only when somebody asks for their bytes.

What differs between the events of a chunk is where each line stands and what is in it; the rest is one template. So the
events of a whole request are written by one format operation, straight into the request's body, and an event by itself
exists only where one is needed: in a file, in rejects, in a request sent again in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import overload


class Wrapped(Sequence[bytes]):
    """The events ``shape % (offsets[i], rests[i])``.

    All offsets have the same number of hex digits, so that every event is ``fixed`` bytes longer than its rest.
    """

    __slots__ = ("fixed", "offsets", "rests", "shape")

    def __init__(self, shape: bytes, offsets: Sequence[int], rests: Sequence[bytes]) -> None:
        """Keep the parts; ``offsets`` is not empty and ascends within one number of hex digits."""
        self.shape = shape
        self.offsets = offsets
        self.rests = rests
        self.fixed = len(shape % (offsets[0], b"")) if offsets else 0

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.rests)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Wrapped: ...

    def __getitem__(self, index: int | slice) -> bytes | Wrapped:
        """Return one event, or some of them, still apart."""
        if isinstance(index, slice):
            return Wrapped(self.shape, self.offsets[index], self.rests[index])
        return self.shape % (self.offsets[index], self.rests[index])

    def __iter__(self) -> Iterator[bytes]:
        """Return the events one after the other."""
        return (self.shape % pair for pair in zip(self.offsets, self.rests, strict=True))

    def pick(self, indices: Sequence[int]) -> Wrapped:
        """Return the events at ``indices``, still apart."""
        return Wrapped(self.shape, [self.offsets[i] for i in indices], [self.rests[i] for i in indices])

    def join(self, *, before: bytes, between: bytes, after: bytes) -> bytes:
        """Return all events in one piece."""
        count = len(self.rests)
        if not count:
            return before + after
        shape = (self.shape + between) * (count - 1) + self.shape
        values: list[int | bytes] = [b""] * (2 * count)
        values[0::2] = self.offsets
        values[1::2] = self.rests
        return b"".join((before.replace(b"%", b"%%"), shape, after.replace(b"%", b"%%"))) % tuple(values)


def wrapped(shape: bytes, offsets: Sequence[int], rests: Sequence[bytes]) -> Sequence[bytes]:
    """Return the events ``shape % (offsets[i], rests[i])``; ``offsets`` ascends."""
    if len(b"%x" % offsets[0]) == len(b"%x" % offsets[-1]):
        return Wrapped(shape, offsets, rests)
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
        return sum(map(len, bodies.rests)) + len(bodies.rests) * bodies.fixed
    if isinstance(bodies, Chained):
        return sum(map(total, bodies.parts))
    return sum(map(len, bodies))


def picked(bodies: Sequence[bytes], indices: Sequence[int]) -> Sequence[bytes]:
    """Return the events at ``indices``."""
    return bodies.pick(indices) if isinstance(bodies, Wrapped) else [bodies[i] for i in indices]


def join(bodies: Sequence[bytes], *, before: bytes = b"", between: bytes = b"", after: bytes = b"") -> bytes:
    """Return all events in one piece: ``before``, the events with ``between`` between them, ``after``."""
    if isinstance(bodies, Wrapped):
        return bodies.join(before=before, between=between, after=after)
    if isinstance(bodies, Chained):
        pieces = [join(part, between=between) for part in bodies.parts if part]
    else:
        pieces = list(bodies)
    if not pieces:
        return before + after
    # One join is one copy; putting the wrapper around its result would be two more of a megabyte each.
    pieces[0] = before + pieces[0]
    pieces[-1] += after
    return between.join(pieces)
