"""What makes bytes recognisable: the hash of a stream's head, and of the bytes before an offset. Pure."""

from __future__ import annotations

from hashlib import blake2b

HEAD_BYTES = 4096
"""A head is the first line, newline included, but at most this many bytes."""

MARK_BYTES = 1024
"""A tail mark covers at most this many bytes before an offset."""


def head_length(first: bytes) -> int | None:
    """Return how many of the ``first`` bytes of a file are its head, None while its first line is not complete."""
    end = first.find(b"\n", 0, HEAD_BYTES) + 1
    if end:
        return end
    return HEAD_BYTES if len(first) >= HEAD_BYTES else None


def digest(data: bytes) -> bytes:
    """Return the 128-bit hash used for heads and marks."""
    return blake2b(data, digest_size=16).digest()


def stream_id(*, agent: str, source: str, family: str, head: bytes, generation: int) -> str:
    """Return the 32 hex digits that name a stream; the same wherever the same bytes are found again."""
    parts = (agent, source, family, head.hex(), str(generation))
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
