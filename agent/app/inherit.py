"""What lanes of other names have read: handed over when a destination is renamed, forgotten when it is deleted."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agent.state.store import Store

AGAIN_SECONDS = 1.0


async def inherit(
    store: Store,
    renamed: Mapping[str, str],
    forgotten: Iterable[str],
    *,
    stop: anyio.Event,
    trouble: Callable[[sqlite3.Error], None],
) -> bool:
    """Move the cursors of ``renamed`` and drop those of ``forgotten``, none of whose lanes may run.

    While the state cannot be written it tries again: a lane that began without its cursors would send everything
    twice. False when ``stop`` was set before.
    """
    while True:
        try:
            if renamed:
                store.rename_lanes(renamed)
            for name in forgotten:
                store.drop_cursors(name)
        except sqlite3.Error as error:
            trouble(error)
        else:
            return True
        with anyio.move_on_after(AGAIN_SECONDS):
            await stop.wait()
            return False
