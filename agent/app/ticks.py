"""The clock of what looks around a few times a second: all of it wakes up together, so an idle agent seldom does."""

from __future__ import annotations

import anyio

TICK_SECONDS = 0.2
CALM_SECONDS = 1.0


async def tick(*, calm: bool = False) -> None:
    """Sleep until the next tick; until that of the next second when the last look found nothing to do (``calm``)."""
    seconds = CALM_SECONDS if calm else TICK_SECONDS
    await anyio.sleep_until((anyio.current_time() // seconds + 1) * seconds)
