"""A destination that accepts everything and sends nothing, for ``backfill --dry-run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.destinations.base import ACCEPTED, Answer

if TYPE_CHECKING:
    from agent.events import Transaction


class DryRun:
    """Counts as accepted whatever would have been sent."""

    async def attempt(self, transaction: Transaction) -> Answer:  # noqa: ARG002 # the contract's name
        """Accept."""
        return ACCEPTED

    async def aclose(self) -> None:
        """Nothing is open."""
