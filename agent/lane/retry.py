"""When to try again: back-off arithmetic, and the gate that all requests of a destination wait at (WIRE 4.4, 4.5)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio

from agent.backoff import FullJitter
from agent.destinations.base import Failure, Kind

if TYPE_CHECKING:
    from agent.config.model import Retry


LATER = 0.1
"""How much later than the destination's hint an agent may come back, as a share of the hint; never earlier."""


class Backoff:
    """How long to wait after a failure: the destination's hint or a little more, else exponential with full jitter."""

    def __init__(self, retry: Retry) -> None:
        """Start without any failure."""
        self._retry = retry
        self._jitter = FullJitter(base=retry.base, cap=retry.cap)
        self._failures = 0

    def reset(self) -> None:
        """Forget past failures: something was delivered."""
        self._failures = 0

    def seconds(self, failure: Failure) -> float:
        """Return how long to leave the destination alone after ``failure``."""
        self._failures += 1
        return self.again(failure)

    def again(self, failure: Failure) -> float:
        """Return the same for a failure of the round that was counted already: attempts that ran side by side."""
        hint = failure.retry_after_seconds
        if hint is not None and hint > 0:
            wait = min(hint, self._retry.max_retry_after)
            # All agents were told the same moment; that it is kept must not mean that they come back in one.
            return wait + random.uniform(0, min(LATER * wait, self._retry.cap))  # noqa: S311 # no secret
        jittered = self._jitter.seconds(self._failures)
        if failure.kind is Kind.DESTINATION:
            # Someone has to mend it: probing faster only fills the other side's logs.
            # The jitter comes on top, or all agents that failed together would probe together.
            return min(self._retry.probe + jittered, max(self._retry.probe, self._retry.cap))
        return jittered


class Gate:
    """Closed until a moment; every sender of the destination waits here before an attempt."""

    def __init__(self) -> None:
        """Start open."""
        self._open_at = float("-inf")
        self.holds = 0
        """How often it was closed."""

    def hold(self, seconds: float) -> None:
        """Close for ``seconds`` from now; never opens earlier than already promised."""
        self._open_at = max(self._open_at, anyio.current_time() + seconds)
        self.holds += 1

    @property
    def remaining_seconds(self) -> float:
        """How long the gate stays closed."""
        return max(0.0, self._open_at - anyio.current_time())

    async def passed(self, stop: anyio.Event) -> bool:
        """Wait until the gate is open; False when ``stop`` was set while it was closed, so nothing may be sent."""
        while (remaining := self.remaining_seconds) > 0:
            if stop.is_set():
                return False
            with anyio.move_on_after(remaining):
                await stop.wait()
        return True
