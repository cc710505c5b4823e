"""Who is calling. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may do."""

    EVENTS_WRITE = "events:write"
    """Post events and statistics: what an agent needs."""
    DESTINATIONS_READ = "destinations:read"
    """Read destinations with their credentials: what an agent needs that is configured from here."""
    DESTINATIONS_WRITE = "destinations:write"
    AUDITS_READ = "audits:read"
    """Read events, records, and what agents tell of themselves."""


EVERY_SCOPE = frozenset(Scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose credentials were right."""

    name: str
    """As audit records name it."""
    org_id: str
    scopes: frozenset[Scope]
    token_id: str = ""
