"""Reads a compressed member to its end, on threads, to learn whether anything of it was not sent yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from agent.streams.content import Compressed
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from agent.streams.stream import Stream

_PIECE_BYTES = 1 << 20


async def read_through(stream: Stream, position: int) -> int | None:
    """Return the length of the member at the stream's path if it ends at ``position`` or before, else None.

    Reads no further than ``position``. A damaged member is not judged: None.
    """
    if stream.path is None:
        return None
    try:
        content = Compressed(stream.path)
    except OSError:
        return None
    try:
        if not stream.inode_is(content.stat()):
            return None
        at = 0
        while at <= position and (data := await anyio.to_thread.run_sync(content.read, at, _PIECE_BYTES)):
            at += len(data)
    except DAMAGED:
        return None
    finally:
        content.close()
    return at if at <= position else None
