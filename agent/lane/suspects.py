"""Events at which a destination raised: is it the event, or the destination? (Pure, for one transaction.)

A mistake of ours must not block a lane for ever over one event, nor empty the log into rejects when every event meets
it. So an event is to blame only with a witness: it raised alone, others were accepted since, and it raised again.
Without one the destination is to blame, and pauses. A few events are given up all the same, once for each time that
the destination has worked: when others of their transaction were accepted, or, in a quiet log, after some probes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBES = 3
"""Pauses that events without a witness get."""
FEW = 10
"""How many events may be given up without a witness, at a time."""


class Suspects:
    """The events of one transaction that raised alone. ``accepted`` is how many events the lane has delivered."""

    def __init__(self, accepted: int) -> None:
        """Suspect nothing."""
        self._began = accepted
        self._since: dict[int, int] = {}
        self._waiting: list[int] = []
        self._given_up: set[int] = set()
        self._probes = 0

    def is_guilty(self, index: int, accepted: int) -> bool:
        """Tell whether the event, which raised alone just now, is to blame."""
        return index in self._given_up or accepted > self._since.get(index, accepted)

    def add(self, index: int, accepted: int) -> None:
        """Note that the event raised alone; it waits until the rest of the transaction was tried."""
        self._since.setdefault(index, accepted)
        self._waiting.append(index)

    def next(self, accepted: int, *, worked: bool) -> tuple[list[list[int]], bool]:
        """Return what to try again, in groups, and whether the destination has to pause before.

        ``worked``: it has accepted something since events were last given up without a witness.
        """
        waiting, self._waiting = sorted(self._waiting), []
        if any(accepted > self._since[index] for index in waiting):
            return [[index] for index in waiting], False
        if worked and (accepted > self._began or (self._probes >= PROBES and len(waiting) <= FEW)):
            few, self._waiting = waiting[:FEW], waiting[FEW:]
            self._given_up.update(few)
            return [[index] for index in few], False
        self._probes += 1
        return [waiting], True

    def __bool__(self) -> bool:
        """Tell whether any event raised alone."""
        return bool(self._since)

    def gave_up(self, indices: Sequence[int]) -> bool:
        """Tell whether one of the events was given up without a witness."""
        return not self._given_up.isdisjoint(indices)
