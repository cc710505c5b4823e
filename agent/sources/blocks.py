"""Streams → blocks: the next lines of a stream, parsed once for all lanes that stand at the same place."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from agent.bodies import total
from agent.events import Block
from agent.parsers.base import broken, template
from agent.streams.content import Compressed
from agent.streams.family import is_compressed
from agent.streams.hold import Held
from agent.streams.identity import MARK_BYTES, digest
from agent.streams.lines import Lines, next_lines
from agent.streams.places import mark_before
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from agent.parsers.base import Common, Parsed, Parser
    from agent.stats import SourceStats
    from agent.streams.catalog import Catalog
    from agent.streams.content import Content
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

_CACHE_BYTES = 4 << 20
_APPROACH_BYTES = 2 << 20
"""How far a compressed member is read through in one turn, to where a lane stands."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is no complete line at a position now."""

    gone: bool = False
    """No file holds these bytes any more, as far as is known."""


class BlockReader:
    """Reads the streams of one catalog. A lane that comes second to the same place gets what the first one parsed."""

    def __init__(self, *, catalog: Catalog, parser: Parser, common: Common, most_line: int, stats: SourceStats) -> None:
        """Read nothing yet. ``most_line`` is the longest line in bytes."""
        self.shared = False
        """Whether several lanes read, so that keeping parsed blocks pays."""
        self._catalog = catalog
        self._parser = parser
        self._common = common
        self._most_line = most_line
        self._stats = stats
        self._cache: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._cached_bytes = 0
        self._scanned: dict[tuple[str, int], int] = {}
        self._counted: dict[str, int] = {}
        self.marks: dict[str, list[tuple[int, bytes]]] = {}
        """Stream → (offset, tail mark) at the ends of blocks, newest last."""

    def read(self, stream: Stream, position: int) -> Block | Nothing:
        """Return the events at ``position``; the block may hold none (blank lines)."""
        key = (stream.id, position)
        if block := self._cache.get(key):
            return block
        content = self._catalog.register.open(stream)
        if content is None:
            return Nothing(gone=self._is_gone(stream))
        if isinstance(content, Held) and position < content.base:
            return self._gap(stream, position, content.base)
        try:
            if isinstance(content, Compressed | Held) and not content.approach(position, most=_APPROACH_BYTES):
                return self._empty(stream, position, position)  # others have their turn meanwhile
            found = self._lines(stream, content, position)
        except DAMAGED as error:
            return self._damaged(stream, error)
        if found is None:
            return Nothing(gone=self._is_gone(stream) and _is_past(content, position))
        block = self._block(stream, position, found)
        self._count(block, stream)
        if self.shared:
            self._keep(key, block)
        return block

    def _lines(self, stream: Stream, content: Content, position: int) -> Lines | None:
        key = (stream.id, position)
        found = next_lines(
            content,
            position,
            most_line=self._most_line,
            final=not self._catalog.register.can_grow(stream),
            scanned=self._scanned.pop(key, 0),
        )
        if not stream.complete and (length := content.length()) is not None:
            stream.size, stream.complete = length, True
        mark = _end_mark(stream, content, position, found) if isinstance(found, Lines) else None
        # Verified after every read: bytes that were replaced before it are noticed, not taken for the old stream's.
        if not self._catalog.verify(stream, content):
            return None
        if isinstance(found, int):
            self._scanned[key] = found
            return None
        if found is not None:
            self._mark(stream, found.end, mark)
        return found

    def _mark(self, stream: Stream, end: int, mark: bytes | None) -> None:
        stream.size = max(stream.size, end)
        stream.reached = max(stream.reached, end)
        if mark is None:
            return
        if end > stream.mark_at and mark:
            stream.mark_at, stream.mark = end, mark
            self._catalog.register.was_read(stream)
        marks = self.marks.setdefault(stream.id, [])
        marks.append((end, mark))
        if len(marks) > 64:
            del marks[:32]

    def _damaged(self, stream: Stream, error: Exception) -> Nothing:
        if not stream.complete:
            text = f"{stream.last_path}: damaged after {stream.size} bytes: {error}"
            self._stats.last_error = self._catalog.errors[stream.last_path] = text
            log.error(
                "member_damaged",
                source=stream.source,
                path=stream.last_path,
                stream=stream.id,
                readable_bytes=stream.size,
                error=str(error),
            )
            stream.complete = True
        return Nothing()

    def _gap(self, stream: Stream, position: int, base: int) -> Block:
        """Go on where what is held of the stream begins, and say so."""
        self._stats.lost_bytes += base - position
        log.error(
            "bytes_lost",
            source=stream.source,
            path=stream.last_path,
            stream=stream.id,
            first_byte=position,
            end_byte=base,
            reason="removed; held from end_byte on, where every destination of that time stood",
        )
        return self._empty(stream, position, base)

    def _is_gone(self, stream: Stream) -> bool:
        """Tell whether no file holds the stream's bytes; a member that is being looked at may."""
        return stream.path is None and not self._catalog.looks.waiting

    def _empty(self, stream: Stream, position: int, end: int) -> Block:
        return Block(
            stream=stream.id,
            source=stream.source,
            start=position,
            end=end,
            offsets=(),
            bodies=(),
            log_types=self._common.log_type,
            size=0,
        )

    def _block(self, stream: Stream, position: int, found: Lines) -> Block:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if found.cut_from is not None:
            self._stats.truncated_lines += 1
            error = f"line of {found.cut_from} bytes is longer than max_line_bytes"
            inside = broken(found.data[:-1], common=self._common, error=error, length=found.cut_from)
            body = template(stream=stream.id, create_time=created, members={}) % (position, inside)
            return Block(
                stream=stream.id,
                source=stream.source,
                start=position,
                end=found.end,
                offsets=(position,),
                bodies=(body,),
                log_types=self._common.log_type,
                size=len(body),
            )
        parsed: Parsed = self._parser.parse(found.data, stream=stream.id, start=position, create_time=created)
        self._stats.parse_errors += parsed.errors
        return Block(
            stream=stream.id,
            source=stream.source,
            start=position,
            end=found.end,
            offsets=parsed.offsets,
            bodies=parsed.bodies,
            log_types=parsed.log_types,
            size=total(parsed.bodies),
        )

    def _count(self, block: Block, stream: Stream) -> None:
        """Count each event once, however many lanes read it and how often."""
        counted = self._counted.get(stream.id, block.start)
        if block.end <= counted:
            return
        self._counted[stream.id] = block.end
        stats, kinds = self._stats, block.log_types
        stats.events += len(block.bodies)
        stats.bytes += block.end - max(counted, block.start)
        if isinstance(kinds, str):
            stats.events_by_type[kinds] += len(block.bodies)
        else:
            stats.events_by_type.update(kinds)

    def _keep(self, key: tuple[str, int], block: Block) -> None:
        self._cache[key] = block
        self._cached_bytes += block.size
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            _key, old = self._cache.popitem(last=False)
            self._cached_bytes -= old.size

    def mark_at(self, stream: str, position: int) -> tuple[int, bytes]:
        """Return the newest known (offset, tail mark) at or before ``position``; (0, b"") when none is known."""
        for offset, mark in reversed(self.marks.get(stream, ())):
            if offset <= position:
                return offset, mark
        return 0, b""

    def drop(self, stream: str) -> None:
        """Know nothing of a stream any more that nobody will read again."""
        self.forget(stream)
        self._counted.pop(stream, None)

    def forget(self, stream: str) -> None:
        """Drop what was kept of a stream that every lane is past."""
        self.marks.pop(stream, None)
        for key in [key for key in self._cache if key[0] == stream]:
            self._cached_bytes -= self._cache.pop(key).size


def _end_mark(stream: Stream, content: Content, position: int, found: Lines) -> bytes | None:
    """Return the tail mark at the end of ``found``, empty where the bytes are gone, None where it is too dear."""
    covered = found.end - position
    if found.cut_from is None and covered >= MARK_BYTES:
        return digest(found.data[covered - MARK_BYTES : covered])
    if stream.complete and (found.end <= _APPROACH_BYTES or not is_compressed(stream.last_path)):
        return mark_before(content, found.end)
    return None  # going back in a compressed member costs reading it again from its start


def _is_past(content: Content, position: int) -> bool:
    """Tell whether ``position`` is after the last byte of what is held of a stream."""
    length = content.length() if isinstance(content, Held) else None
    return length is not None and position >= length
