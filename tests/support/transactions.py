"""Transactions made of numbered events: ``s.0``, ``s.1``, …"""

from __future__ import annotations

from agent.events import Slice, Transaction


def transaction(count: int = 3, *, size: int = 0, first: int = 0) -> Transaction:
    """Return ``count`` events of one stream ``s``; with ``size``, padded to that many bytes each."""
    return Transaction(
        bodies=[body(first + i, size) for i in range(count)],
        slices=[Slice(stream="s", offsets=range(first, first + count), end=first + count)],
    )


def body(offset: int, size: int = 0) -> bytes:
    """Return the envelope of the event at ``offset``."""
    head = b'{"unique_id":"s.%x","create_time":"2026-05-04T12:00:01Z","event":{"log_type":"logs","pad":"' % offset
    return head + b"x" * max(0, size - len(head) - 3) + b'"}}'
