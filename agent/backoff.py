"""Back-off arithmetic: exponential with full jitter (WIRE 4.5). Used by lanes and by the client of the Audits API."""

from __future__ import annotations

from tenacity import RetryCallState, Retrying, wait_random_exponential

MOST_DOUBLINGS = 64


class FullJitter:
    """Waits after the n-th failure in a row: anything from 0 to ``base`` · 2^(n-1), never above ``cap`` seconds."""

    def __init__(self, *, base: float, cap: float) -> None:
        """Keep the bounds, in seconds."""
        self._wait = wait_random_exponential(multiplier=base, max=cap)

    def seconds(self, failures: int) -> float:
        """Return how long to wait after ``failures`` failures in a row, from 1 on."""
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = min(failures, MOST_DOUBLINGS)
        return float(self._wait(state))
