"""identity.json: what must not be lost together with state.db.

The agent's id, because ids of events are made from it, and which lanes have started on which source, because without
it a source with ``start_at: end`` would skip what was never sent.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The agent's id and every (lane, source) that has started."""

    agent_id: str
    started: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def read(path: Path) -> Identity | None:
    """Return what was kept at ``path``; None when there is nothing, or nothing that can be read."""
    try:
        kept = json.loads(path.read_bytes())
        started = frozenset((str(lane), str(source)) for lane, source in kept["started"])
        agent_id = kept["agent_id"]
        if not isinstance(agent_id, str) or not agent_id:
            raise ValueError("agent_id is no text")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("identity_unreadable", path=str(path), error=repr(error))
        return None
    return Identity(agent_id=agent_id, started=started)


def write(path: Path, identity: Identity) -> None:
    """Keep ``identity`` at ``path``, whole or not at all. What cannot be kept now is kept at the next start."""
    data = json.dumps({"agent_id": identity.agent_id, "started": sorted(identity.started)}).encode() + b"\n"
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        log.warning("identity_not_kept", path=str(path), error=error.strerror)
        part.unlink(missing_ok=True)
