"""Text of strangers made fit for one line of a log."""

from __future__ import annotations

EXCERPT_BYTES = 512


def one_line(text: str, *, limit: int = 200) -> str:
    """Return ``text`` with everything unprintable as a space, cut at ``limit`` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def excerpt(body: bytes) -> str:
    """Return the start of a response body as one line."""
    return one_line(body[:EXCERPT_BYTES].decode("utf-8", "replace"), limit=EXCERPT_BYTES)
