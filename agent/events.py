"""The plain data that moves between the steps of a lane. A chunk, not a line, is the unit.

An *event* is the bytes of one ``AuditEvent`` (WIRE 3.1): compact UTF-8 JSON
``{"unique_id":…,"create_time":…,"event":{…}}``. Its ``unique_id`` is ``<stream id>.<offset in hex>``.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from agent.bodies import Wrapped, parts, picked, total

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_FEW = 4
"""So much dearer is it to look one id up than to make the id of one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The events of one chunk of one stream, column by column.

    ``start`` and ``end`` are stream offsets in bytes: the block covers ``[start, end)`` wholly, so that once all of
    ``bodies`` are settled the cursor may stand at ``end``. ``offsets[i]`` is where event ``i`` starts;
    ``log_types`` is either one subsystem for all events, or one for each.
    """

    stream: str
    source: str
    start: int
    end: int
    offsets: Sequence[int]
    bodies: Sequence[bytes]
    log_types: str | Sequence[str]
    size: int
    """Bytes of all bodies."""

    def keep(self, indices: Sequence[int]) -> Block:
        """Return the block with only the events at ``indices`` (ascending); it still covers the same bytes."""
        bodies = picked(self.bodies, indices)
        kinds = self.log_types
        return Block(
            stream=self.stream,
            source=self.source,
            start=self.start,
            end=self.end,
            offsets=[self.offsets[i] for i in indices],
            bodies=bodies,
            log_types=kinds if isinstance(kinds, str) else [kinds[i] for i in indices],
            size=total(bodies),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Consecutive events of one block that travel in one transaction.

    When all of ``offsets`` are settled, everything of the stream before ``end`` is.
    """

    stream: str
    offsets: Sequence[int]
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """The events of one request: at most ``max_events_per_transaction``, in stream order.

    Event ``i`` is ``bodies[i]``; the slices' offsets, one after the other, are in the same order.
    """

    bodies: Sequence[bytes]
    slices: Sequence[Slice]
    size: int = field(default=-1)
    types: str | Sequence[str] = "logs"
    """The subsystem of all events, or of each."""

    def __post_init__(self) -> None:
        """Sum the sizes unless the caller knows them."""
        if self.size < 0:
            object.__setattr__(self, "size", total(self.bodies))

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.bodies)

    def unique_ids(self) -> list[str]:
        """Return the ``unique_id`` of every event, in order, as it stands in the event."""
        made = [unique_id(s.stream, offset) for s in self.slices for offset in s.offsets]
        if all(isinstance(part, Wrapped) for part in parts(self.bodies)):
            return made  # wrapped here, with ids made here
        return [own_id(body, name) for body, name in zip(self.bodies, made, strict=True)]

    def find(self, names: Collection[str]) -> dict[str, int]:
        """Return unique_id → index of those events whose ``unique_id`` is one of ``names``."""
        if len(names) * _FEW < len(self) and all(isinstance(part, Wrapped) for part in parts(self.bodies)):
            return {name: index for name in names if (index := self._index(name)) is not None}
        return {name: index for index, name in enumerate(self.unique_ids()) if name in names}

    def _index(self, name: str) -> int | None:
        """Return where the event with an id made here is."""
        stream, _, digits = name.rpartition(".")
        try:
            offset = int(digits, 16)
        except ValueError:
            return None
        first = 0
        for piece in self.slices:
            if piece.stream == stream:
                at = bisect_left(piece.offsets, offset)
                if at < len(piece.offsets) and unique_id(stream, piece.offsets[at]) == name:
                    return first + at
            first += len(piece.offsets)
        return None

    def pick(self, indices: Iterable[int]) -> Transaction:
        """Return a transaction of the events at ``indices`` (ascending), slices kept apart.

        The slices' ``end`` stay as they are: they describe the bytes covered by the original.
        """
        wanted = list(indices)
        bounds = [0, *accumulate(len(s.offsets) for s in self.slices)]
        slices, at = [], 0
        for part, low, high in zip(self.slices, bounds, bounds[1:], strict=False):
            first = at
            while at < len(wanted) and wanted[at] < high:
                at += 1
            if at > first:
                offsets = [part.offsets[i - low] for i in wanted[first:at]]
                slices.append(Slice(stream=part.stream, offsets=offsets, end=part.end))
        types = self.types if isinstance(self.types, str) else [self.types[i] for i in wanted]
        return Transaction(bodies=picked(self.bodies, wanted), slices=slices, types=types)


def unique_id(stream: str, offset: int) -> str:
    """Return the id of the event at ``offset`` of ``stream``; at most 64 characters (WIRE 3.1)."""
    return f"{stream}.{offset:x}"


class _Named(msgspec.Struct, gc=False):
    unique_id: str


_NAMED = msgspec.json.Decoder(_Named)


def own_id(body: bytes, made: str) -> str:
    """Return the ``unique_id`` of an event: ``made`` for one wrapped here, its own for one that came with an id."""
    if body.startswith(b'{"unique_id":"%b"' % made.encode()):
        return made
    try:
        return _NAMED.decode(body).unique_id
    except (msgspec.MsgspecError, RecursionError):
        return made
