"""What lanes of other names have read: handed on when a destination is renamed, forgotten when it is deleted.

While the state cannot be written it is tried again: a lane that began without its cursors would send everything twice.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.state.store import Store

AGAIN_SECONDS = 1.0


async def inherit(
    store: Store, renamed: Mapping[str, str], *, stop: anyio.Event, trouble: Callable[[sqlite3.Error], None]
) -> bool:
    """Give the cursors of old names to new ones; no lane of either may run. False when ``stop`` was set before.

    The old ones stay until they are forgotten: whatever a crash in between leaves, one of the names has them.
    """
    return not renamed or await _until_written(lambda: store.copy_lanes(renamed), stop, trouble)


async def forget(
    store: Store, names: Iterable[str], *, stop: anyio.Event, trouble: Callable[[sqlite3.Error], None]
) -> bool:
    """Drop the cursors of lanes that have ended for good. False when ``stop`` was set before."""

    def drop() -> None:
        for name in names:
            store.drop_cursors(name)

    return await _until_written(drop, stop, trouble)


async def _until_written(
    write: Callable[[], None], stop: anyio.Event, trouble: Callable[[sqlite3.Error], None]
) -> bool:
    while True:
        try:
            write()
        except sqlite3.Error as error:
            trouble(error)
        else:
            return True
        with anyio.move_on_after(AGAIN_SECONDS):
            await stop.wait()
            return False
