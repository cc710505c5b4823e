"""The bounded queue of a lane: blocks, counted in bytes until their events are settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from agent.events import Block

BLOCK_BYTES = 512
"""What a waiting block costs beside its events, so that blocks whose events were all filtered are bounded, too."""


class Queue:
    """Blocks between the reader and the batcher. The bound covers what is in flight, not only what waits."""

    def __init__(self, max_bytes: int, *, ahead_bytes: int | None = None) -> None:
        """Hold at most ``max_bytes``; a single larger block is admitted when nothing else is held.

        Of these at most ``ahead_bytes`` and one block wait to be taken: what was parsed just now is still in a cache
        of the processor when it is sent.
        """
        self.max_bytes = max_bytes
        self._ahead_bytes = max_bytes if ahead_bytes is None else ahead_bytes
        self._waiting = 0
        self.used = 0
        self._blocks: deque[Block] = deque()
        self.is_full = False
        """Whether a block waits for room."""
        self._closed = False
        self._filled = anyio.Event()
        self._freed = anyio.Event()

    async def put(self, block: Block) -> None:
        """Append ``block``, waiting until there is room. Cancelled while waiting, it has done nothing."""
        cost = block.size + BLOCK_BYTES
        while self._waiting >= self._ahead_bytes or (self.used and self.used + cost > self.max_bytes):
            self._freed = anyio.Event()
            self.is_full = self._waiting < self._ahead_bytes
            self._filled.set()
            try:
                await self._freed.wait()
            finally:
                self.is_full = False
        # No await from here on: a block is either counted and queued, or neither.
        self.used += cost
        self._waiting += cost
        self._blocks.append(block)
        self._filled.set()

    def take(self) -> Block | None:
        """Return the next block if one waits. The bytes of its events stay counted until they are released."""
        if not self._blocks:
            return None
        block = self._blocks.popleft()
        self._waiting -= block.size + BLOCK_BYTES
        self.release(BLOCK_BYTES)
        return block

    async def wait(self) -> bool:
        """Wait until a block may be taken; False when none will ever come."""
        while not self._blocks:
            if self._closed:
                return False
            self._filled = anyio.Event()
            await self._filled.wait()
        return True

    async def wait_for_more(self) -> None:
        """Wait until a block may be taken, or none can come before something is settled, or none ever will."""
        while not (self._blocks or self._closed or self.is_full):
            self._filled = anyio.Event()
            await self._filled.wait()

    def release(self, size: int) -> None:
        """Give back the bytes of settled events."""
        self.used -= size
        self._freed.set()

    def close(self) -> None:
        """Let nothing more in; what waits may still be taken."""
        self._closed = True
        self._filled.set()

    @property
    def closed(self) -> bool:
        """Whether nothing more will come in."""
        return self._closed
