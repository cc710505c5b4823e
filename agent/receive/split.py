"""Cuts the events out of a body that the fast decoder refuses as a whole, so that one bad event costs only itself."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def split_events(body: bytes) -> tuple[bytes, list[bytes]] | None:
    """Return ``body`` with ``events`` emptied, and what stood in it, piece by piece; None when it is not JSON.

    For events nested too deeply to decode and lone surrogates: JSON all the same, and not the other events' fault.
    """
    try:
        json.loads(body)
    except RecursionError:
        pass
    except ValueError:
        return None
    depth = 0
    key = b""
    begin = end = piece = -1
    pieces: list[bytes] = []
    for token in _TOKEN.finditer(body):
        kind = token[0]
        if kind in (b"[", b"{"):
            depth += 1
            if depth == 2 and kind == b"[" and key == b'"events"':
                begin = piece = token.end()
                pieces = []
        elif kind in (b"]", b"}"):
            depth -= 1
            if depth == 1 and piece >= 0:
                end = token.start()
                pieces.append(body[piece:end].strip())
                piece = -1
        elif kind == b",":
            if depth == 2 and piece >= 0:
                pieces.append(body[piece : token.start()].strip())
                piece = token.end()
        elif depth == 1:
            key = kind
    return None if end < 0 else (body[:begin] + body[end:], pieces if pieces != [b""] else [])
