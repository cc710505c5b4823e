"""An event's key: which stream, where in it. Pure.

Ids of this agent are ``<32 hex digits>.<hex offset>``; they are kept as sixteen bytes and a number, so that what came
of a stream is a range of the index. Any other id is a stream of its own: a hash, at the position -1.
"""

from __future__ import annotations

import re
from hashlib import blake2b

FOREIGN = -1
"""The position of an id that is of no stream."""
_OWN = re.compile(r"([0-9a-f]{32})\.(0|[1-9a-f][0-9a-f]{0,14})")


def key(unique_id: str) -> tuple[bytes, int]:
    """Return stream and position; two ids have the same only when they are the same id."""
    if found := _OWN.fullmatch(unique_id):
        return bytes.fromhex(found[1]), int(found[2], 16)
    return blake2b(unique_id.encode(), digest_size=16).digest(), FOREIGN
