"""What a collector allows: who may call, how much at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.collector.store.retention import Keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a collector allows."""

    tokens: tuple[str, ...] = ()
    """Bearer tokens that may do everything; more are in the database."""
    open_to_this_machine: bool = False
    """Programs of this machine, but no web pages, may do everything without a token."""
    org_id: str = "default"
    """The organisation of those tokens, and of callers without one."""
    remembered_seconds: float = 15.0
    """How long credentials that were right are taken for right: so long works, in each process, what was removed."""
    keep: Keep = field(default_factory=Keep)
    """How long and how much is kept; by default everything."""
    max_body_bytes: int = 16 << 20
    max_expanded_bytes: int = 64 << 20
    """Of a compressed body."""
    max_events: int = 10_000
    """Of one request."""
    body_timeout_seconds: float = 30.0
    max_waiting_bytes: int = 128 << 20
    """Of all requests together that are being received or stored."""

    def __repr__(self) -> str:
        """Show how many tokens there are, not which."""
        return f"Settings(tokens={len(self.tokens)}, max_body_bytes={self.max_body_bytes})"
