"""Lets go of holds, so that no more is held than may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from agent.app.need import stands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.app.need import Need
    from agent.sources.file import FileSource
    from agent.streams.hold import Holds

log = structlog.get_logger(__name__)


def make_room(source: FileSource, holds: Holds, needs: Mapping[str, Need], missing: int, *, sparing: str = "") -> None:
    """Let go of holds until ``missing`` bytes fit: first of files that still stand, then of the one held longest.

    The latter is a loss, and logged as one; its lanes report it, too, when they get there. Nothing is lost for the
    sake of a file that would not fit into an empty folder, or of a disk that others filled.
    """
    while holds.room() < missing:
        takers = [name for name in holds.ids() if name != sparing and (hold := holds.get(name)) and hold.bytes]
        spare = next((name for name in takers if stands(needs[name].stream)), None)
        if spare is not None:
            holds.release(spare)
        elif takers and holds.bytes() + missing > holds.max_bytes >= missing:
            holds.release(takers[0])
            _lose(source, needs[takers[0]])
        else:
            return


def _lose(source: FileSource, need: Need) -> None:
    """Give up the stream's bytes, those of a descriptor that is still open included: they take the disk, too."""
    source.catalog.handles.close(need.stream)
    source.catalog.register.give_up(need.stream)
    log.error(
        "hold_released",
        source=source.name,
        path=need.stream.last_path,
        stream=need.stream.id,
        first_byte=need.start,
        end_byte=need.stream.size,
        reason="hold.max_bytes",
    )
