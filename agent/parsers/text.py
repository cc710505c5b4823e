"""Plain lines: each becomes a ``message``.

Where a whole chunk is valid UTF-8 of which JSON escapes nothing, the lines are passed through as the bytes they are.
"""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate, compress
from operator import itemgetter, not_
from typing import TYPE_CHECKING

import msgspec

from agent.bodies import wrapped
from agent.parsers.base import Common, Parsed, template

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENCODER = msgspec.json.Encoder()
_line = itemgetter(slice(0, -1))


class Text:
    """Lines of any kind, as text; invalid UTF-8 is replaced, a carriage return before the line feed is dropped."""

    def __init__(self, common: Common) -> None:
        """Prepare the members that every event carries."""
        self._log_type = common.log_type
        self._members = {**common.members, "log_type": common.log_type}
        self._members.pop("message", None)

    def parse(self, data: bytes, *, stream: str, start: int, create_time: str) -> Parsed:
        """Return one event per line that is not blank."""
        lines = BytesIO(data).readlines()
        offsets = list(accumulate(map(len, lines), initial=start))
        offsets.pop()
        shape = template(stream=stream, create_time=create_time, members=self._members)
        if _is_plain(data, len(lines)):
            return self._plain(data, lines, offsets, shape.replace(b"%b}}", b'"message":"%b"}}'))
        return self._encoded(data, offsets, shape.replace(b"%b}}", b'"message":%b}}'))

    def _plain(self, data: bytes, lines: Sequence[bytes], offsets: Sequence[int], shape: bytes) -> Parsed:
        """Wrap lines as they are."""
        blank = list(map(bytes.isspace if data.isascii() else _is_space, lines))
        follow = not any(blank)
        if not follow:
            wanted = list(map(not_, blank))
            lines, offsets = list(compress(lines, wanted)), list(compress(offsets, wanted))
        if not lines:
            return Parsed(offsets=(), bodies=(), log_types=self._log_type)
        end = offsets[0] + len(data) if follow else None
        bodies = wrapped(shape, offsets, list(map(_line, lines)), end=end, trimmed=1)
        return Parsed(offsets=offsets, bodies=bodies, log_types=self._log_type)

    def _encoded(self, data: bytes, offsets: Sequence[int], shape: bytes) -> Parsed:
        """Wrap lines of any kind."""
        text = data.decode("utf-8", "replace")
        texts = (text.replace("\r\n", "\n") if "\r" in text else text).split("\n")
        texts.pop()
        if not all(texts) or any(map(str.isspace, texts)):
            kept = [i for i, text in enumerate(texts) if text and not text.isspace()]
            offsets, texts = [offsets[i] for i in kept], [texts[i] for i in kept]
        if not texts:
            return Parsed(offsets=(), bodies=(), log_types=self._log_type)
        # JSON strings hold no line feed, so this finds the lines again.
        encoded = _ENCODER.encode_lines(texts).split(b"\n")
        return Parsed(
            offsets=offsets, bodies=wrapped(shape, offsets, encoded[: len(offsets)]), log_types=self._log_type
        )


def _is_plain(data: bytes, lines: int) -> bool:
    """Tell whether ``data`` is valid UTF-8 of which JSON escapes nothing but its line feeds, one for each of ``lines``.

    Whatever is escaped is longer than it was: a line feed by one byte.
    """
    try:
        return len(_ENCODER.encode(data.decode())) == len(data) + lines + len(b'""')
    except UnicodeDecodeError:
        return False


def _is_space(line: bytes) -> bool:
    return line.decode().isspace()
