"""Text for people's eyes: nothing in it can steer the page or hide. Pure."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: object, *, lines: bool = False) -> Markup:
    """Return ``text`` as HTML; characters that are invisible or turn the writing's direction are named instead.

    ``lines``: line feeds and tabs stay, for preformatted text.
    """
    plain = str(text)
    if plain.isprintable():
        return escape(plain)
    parts: list[str] = []
    run = 0
    for at, character in enumerate(plain):
        if unicodedata.category(character) not in _HIDDEN or (lines and character in "\n\t"):
            continue
        parts += (str(escape(plain[run:at])), f'<span class="ctl">U+{ord(character):04X}</span>')
        run = at + 1
    parts.append(str(escape(plain[run:])))
    return Markup("".join(parts))  # noqa: S704 # every part is escaped above


def size(count: float) -> str:
    """Return bytes as people say them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a span of time in its largest two units."""
    whole = int(seconds)
    if whole < 1:
        return f"{seconds * 1000:.0f} ms" if seconds > 0 else "0 s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for index, (name, length) in enumerate(units):
        if whole >= length:
            first, rest = divmod(whole, length)
            if index + 1 < len(units) and (second := rest // units[index + 1][1]):
                return f"{first} {name} {second} {units[index + 1][0]}"
            return f"{first} {name}"
    return "0 s"


def moment(unix_seconds: float) -> str:
    """Return a time in UTC as RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(count: float) -> str:
    """Return a count with its thousands apart, a small rate with its fraction."""
    if count < 100 and count != int(count):
        return f"{count:.2g}" if count < 10 else f"{count:.1f}"
    return f"{count:,.0f}".replace(",", "\u202f")


def place(location: str) -> str:
    """Return where a destination is without what may be a key: of an address neither user, path, query nor fragment.

    Of a file its path; nothing of what cannot be told apart.
    """
    try:
        parts = urlsplit(location)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if host:
        name = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{name}" + (f":{port}" if port else "")
    if parts.scheme not in ("", "file"):
        return ""
    path = location.partition("?")[0].partition("#")[0]
    return path if path.startswith(("/", "file:")) or "@" not in path else ""
