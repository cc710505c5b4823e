"""A transaction as the request body ``AuditWebhookBulkEvent`` (WIRE 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.bodies import join

if TYPE_CHECKING:
    from agent.events import Transaction


def encode(transaction: Transaction) -> bytes:
    """Return ``{"events":[…]}``. The events are JSON already, so they are joined and not looked at."""
    return join(transaction.bodies, before=b'{"events":[', between=b",", after=b"]}")
