"""A transaction as the request body ``AuditWebhookBulkEvent`` (WIRE 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.events import Transaction


def encode(transaction: Transaction) -> bytes:
    """Return ``{"events":[…]}``. The events are JSON already, so they are joined and not looked at."""
    bodies = list(transaction.bodies)
    if not bodies:
        return b'{"events":[]}'
    # One join is one copy; putting the wrapper around its result would be two more of a megabyte each.
    bodies[0] = b'{"events":[' + bodies[0]
    bodies[-1] += b"]}"
    return b",".join(bodies)
