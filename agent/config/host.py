"""Which host this is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.config.model import Config


def hostname(config: Config) -> str:
    """Return the configured name of this host, else the one it has."""
    return config.agent.hostname or socket.gethostname()
