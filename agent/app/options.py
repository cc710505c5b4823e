"""How an agent is to run, besides its configuration: as a daemon, once, or as a backfill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Event times to ship: ``since`` inclusive, ``until`` exclusive, None for no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The defaults are the daemon's."""

    one_shot: bool = False
    """Ship what is there now, then end."""
    patience_seconds: float = 60.0
    """A one-shot lane that settles nothing for this long while its destination fails ends undelivered."""
    database: str = "state.db"
    paths: tuple[str, ...] | None = None
    """Only these files; None: what the globs match."""
    destinations: frozenset[str] | None = None
    """Only these destinations; None: all that are enabled."""
    cursor_prefix: str = ""
    """Keeps a backfill's cursors apart from the daemon's."""
    window: Window | None = None
    catalog: str | None = None
    """A database whose agent id and streams are taken over, so that ids are the same as the daemon's."""
    forget_when_done: bool = False
    """Drop the cursors once everything is settled: the same job asked for again starts anew."""
    dry_run: bool = False
    """Read, parse and filter, but send nothing and keep no cursors."""

    def delivers_to(self, destination: str) -> bool:
        """Tell whether ``destination`` takes part in this run."""
        return self.destinations is None or destination in self.destinations
