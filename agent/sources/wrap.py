"""Lines that stand in no file → envelopes with ids of their own, ready for a spool."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.parsers.base import broken, template
from agent.streams.lines import Lines, next_lines

if TYPE_CHECKING:
    import os

    from agent.parsers.base import Common, Parser
    from agent.stats import SourceStats


class Wrapper:
    """Gives lines the ids of a stream made for this run: offsets count the bytes of all lines wrapped so far."""

    def __init__(self, *, parser: Parser, common: Common, most_line: int, stats: SourceStats) -> None:
        """Begin a stream that no other run has. ``most_line`` is the longest line in bytes."""
        self._parser = parser
        self._common = common
        self._most_line = most_line
        self._stats = stats
        self._stream = uuid.uuid4().hex
        self._at = 0

    def wrap(self, lines: bytes) -> list[bytes]:
        """Return one envelope for each of ``lines`` that is not blank; the last line's end may be missing."""
        content, done, bodies = _Bytes(lines), 0, []
        while isinstance(found := next_lines(content, done, most_line=self._most_line, final=True), Lines):
            if found.cut_from is not None:
                bodies.append(self.cut(found.data[:-1], length=found.cut_from))
            else:
                parsed = self._parser.parse(found.data, stream=self._stream, start=self._at, create_time=_now())
                self._stats.parse_errors += parsed.errors
                self._at += len(found.data)
                bodies += parsed.bodies
            done = found.end
        return bodies

    def cut(self, start: bytes, *, length: int) -> bytes:
        """Return the envelope of a line of ``length`` bytes that was too long, of which only ``start`` was kept."""
        self._stats.truncated_lines += 1
        error = f"line of {length} bytes is longer than max_line_bytes"
        inside = broken(start, common=self._common, error=error, length=length)
        body = template(stream=self._stream, create_time=_now(), members={}) % (self._at, inside)
        self._at += length + 1
        return body


class Pieces:
    """Cuts what comes from a pipe into whole lines, and never holds more than one line and one piece."""

    def __init__(self, wrapper: Wrapper, *, most_line: int) -> None:
        """Hand lines to ``wrapper``."""
        self._wrapper = wrapper
        self._most_line = most_line
        self._rest = b""
        self._dropped = 0
        """Bytes of the line in hand that were beyond ``most_line``."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the envelopes of the lines that ``piece`` completes."""
        bodies = []
        if self._dropped:
            at = piece.find(b"\n")
            if at < 0:
                self._dropped += len(piece)
                return []
            bodies.append(self._wrapper.cut(self._rest, length=len(self._rest) + self._dropped + at))
            piece, self._rest, self._dropped = piece[at + 1 :], b"", 0
        data = self._rest + piece
        end = data.rfind(b"\n") + 1
        bodies += self._wrapper.wrap(data[:end])
        rest = data[end:]
        self._rest, self._dropped = rest[: self._most_line], max(0, len(rest) - self._most_line)
        return bodies

    def finish(self) -> list[bytes]:
        """Return the envelope of a last line whose end never came."""
        rest, dropped, self._rest, self._dropped = self._rest, self._dropped, b"", 0
        if dropped:
            return [self._wrapper.cut(rest, length=len(rest) + dropped)]
        return self._wrapper.wrap(rest) if rest else []


class _Bytes:
    """Bytes in memory, read as a file is."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]

    def length(self) -> int:
        return len(self._data)

    def stat(self) -> os.stat_result:
        raise OSError("no file")

    def twin(self) -> _Bytes:
        return self

    def close(self) -> None:
        """Nothing is open."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
