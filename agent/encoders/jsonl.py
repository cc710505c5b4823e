"""Events as JSON lines: one compact envelope each, ended by a newline (WIRE 5.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.bodies import join

if TYPE_CHECKING:
    from collections.abc import Sequence


def encode(bodies: Sequence[bytes]) -> bytes:
    """Return the lines of ``bodies``. Compact JSON holds no newline, so one event is one line."""
    return join(bodies, between=b"\n", after=b"\n") if bodies else b""
