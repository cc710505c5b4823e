"""Text of strangers made fit for one line of a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

EXCERPT_BYTES = 512


def one_line(text: str, *, limit: int = 200) -> str:
    """Return ``text`` with everything unprintable as a space, cut at ``limit`` characters."""
    clean = "".join(c if c.isprintable() else " " for c in text[: limit + 1]).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def excerpt(body: bytes) -> str:
    """Return the start of a response body as one line."""
    return one_line(body[:EXCERPT_BYTES].decode("utf-8", "replace"), limit=EXCERPT_BYTES)


def shown(url: httpx.URL) -> str:
    """Return the part of ``url`` that may be shown: scheme, host and port."""
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}{port}"
