"""Events → bytes, pure; one file per format. ``FORMATS`` are those a webhook can be given (WIRE 2)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from agent.encoders import agilicus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.events import Transaction

FORMATS: Mapping[str, Callable[[Transaction], bytes]] = MappingProxyType({"agilicus": agilicus.encode})
"""Request body by ``webhook_settings.format``."""
