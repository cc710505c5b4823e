"""What a collector allows: who may call, how much at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a collector allows."""

    tokens: tuple[str, ...] = ()
    """Bearer tokens; none: only programs of this machine may call."""
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
