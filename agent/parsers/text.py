"""Plain lines: each becomes a ``message``."""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate

import msgspec

from agent.bodies import wrapped
from agent.parsers.base import Common, Parsed, template

_ENCODE = msgspec.json.Encoder().encode_lines


class Text:
    """Lines of any kind, as text; invalid UTF-8 is replaced, a carriage return before the line feed is dropped."""

    def __init__(self, common: Common) -> None:
        """Prepare the members that every event carries."""
        self._log_type = common.log_type
        self._members = {**common.members, "log_type": common.log_type}
        self._members.pop("message", None)

    def parse(self, data: bytes, *, stream: str, start: int, create_time: str) -> Parsed:
        """Return one event per line that is not blank."""
        offsets = list(accumulate(map(len, BytesIO(data).readlines()), initial=start))
        offsets.pop()
        texts = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        texts.pop()
        if not all(texts) or any(map(str.isspace, texts)):
            kept = [i for i, text in enumerate(texts) if text and not text.isspace()]
            offsets, texts = [offsets[i] for i in kept], [texts[i] for i in kept]
        if not texts:
            return Parsed(offsets=(), bodies=(), log_types=self._log_type)
        shape = template(stream=stream, create_time=create_time, members=self._members).replace(
            b"%b}}", b'"message":%b}}'
        )
        encoded = _ENCODE(texts).split(b"\n")  # JSON strings hold no line feed, so this finds the lines again
        return Parsed(
            offsets=offsets,
            bodies=wrapped(shape, offsets, encoded[: len(offsets)]),
            log_types=self._log_type,
        )
