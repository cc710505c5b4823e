"""What a reconciliation asks of a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from array import array
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Events at the receiver that are of none of the streams asked about."""

    own: int = 0
    """Of this agent."""
    foreign: int = 0
    """Of anybody else."""


class Receiver(Protocol):
    """Something that holds events. Methods raise ``ReceiverError`` when it cannot be asked."""

    def offsets(self, stream: str) -> array[int]:
        """Return the offsets of the events of ``stream`` (type ``Q``), ascending, each as often as it is there."""
        ...

    def copies(self, unique_id: str) -> int | None:
        """Return how many events have an id that a program has given; asking for it marks them as known.

        None: such an id cannot be asked for here, so nothing is known of its event.
        """
        ...

    def others(self, streams: Collection[str], *, agent_id: str) -> Others:
        """Count the events that are of none of ``streams`` and were not marked as known."""
        ...

    @property
    def damaged(self) -> int:
        """How many of its lines are no events."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What else there is to know of it."""
        ...
