"""How often to look at what grows all the time."""

from __future__ import annotations


class Pace:
    """Spreads looks that follow each other closely; one after a quiet moment is never put off."""

    def __init__(self, seconds: float) -> None:
        """Keep busy looks ``seconds`` apart."""
        self._seconds = seconds
        self._last = float("-inf")
        self.next_look = float("-inf")
        """The earliest moment of the next look, in the seconds that ``looked`` is told in."""

    def looked(self, now: float) -> None:
        """Take note of a look: the next one may follow at once, unless this one came right after another."""
        busy = now - self._last < 2 * self._seconds
        self._last = now
        self.next_look = now + self._seconds if busy else now
