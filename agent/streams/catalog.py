"""All streams of one source: which file holds which of them now.

``resolve`` looks at the files of one family together and decides for each whether it continues a known stream, is a
copy of one, or is new. The rules stand in ``evidence`` and ``copies``, their order in ``_decide``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from agent.streams.copies import Copies
from agent.streams.evidence import by_evidence, continues_open, may_continue, may_copy
from agent.streams.family import families, family, is_compressed
from agent.streams.hold import Held
from agent.streams.identity import digest, head_length, stream_id
from agent.streams.looks import Looks, NotYetError
from agent.streams.places import (
    MovedError,
    Place,
    first_bytes,
    has_head,
    mark_before,
    shows,
)
from agent.streams.register import QUIET_SECONDS, Register
from agent.streams.stream import Stream
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.state.store import Store
    from agent.streams.content import Content
    from agent.streams.handles import Pool
    from agent.streams.hold import Holds

log = structlog.get_logger(__name__)


class Catalog:
    """The streams of one source. ``changed`` is called with every stream that may have more to read."""

    def __init__(
        self,
        *,
        source: str,
        agent_id: str,
        store: Store,
        changed: Callable[[Stream], None],
        one_shot: bool = False,
        holds: Holds | None = None,
        visible: Callable[[str], int] | None = None,
        now: Callable[[], float] = time.time,
        pool: Pool | None = None,
    ) -> None:
        """Recall the streams that ``store`` knows; looks at no file yet.

        ``visible`` tells how many bytes of the file at a path may be read; None: all of them.
        ``pool`` bounds the open files together with those of other catalogs.
        """
        self.register = Register(
            source=source,
            store=store,
            changed=changed,
            holds=holds,
            one_shot=one_shot,
            visible=visible,
            now=now,
            pool=pool,
        )
        self.source = source
        self.holds = holds
        self.handles = self.register.handles
        self.streams = self.register.streams
        self.errors = self.register.errors
        self.partial = self.register.partial
        self.unfinished = self.register.unfinished
        self._agent_id = agent_id
        self._one_shot = one_shot
        self._now = now
        self.looks = Looks()
        self.in_order = True
        """Whether the files of a family are decided one after the other, however long that takes."""
        self._copies = Copies(source=source, store=store, streams=self.streams, looks=self.looks)

    # What the file system shows

    def grown(self, path: str) -> bool:
        """Look at a file that was written to; tell whether that was all, so that its family need not be resolved."""
        found = self.register.look(path)
        stream = self.register.by_inode.get(found.key) if found else None
        if not found or not stream or stream.path != path or found.size < stream.size or found.compressed:
            return False
        if found.size == stream.size and found.mtime_ns != stream.mtime_ns:
            return False  # cut, and written to the very size it had
        self.register.saw(stream, found)
        return True

    def resolve(self, families: Iterable[str]) -> None:
        """Decide for every file of ``families`` which stream it holds."""
        for name in families:
            self.unfinished.discard(name)
            self._resolve(name)
        self.register.publish()

    def _resolve(self, name: str) -> None:
        places: dict[tuple[int, int], Place] = {}
        paths = self.register.paths.get(name, set())
        if len(paths) == 1 and self._is_idle(*paths):
            return
        for path in sorted(paths, key=lambda p: (p != name, p)):
            if place := self.register.look(path):
                places.setdefault(place.key, place)  # a second link to the same file adds nothing
            else:
                paths.discard(path)
        if not paths:
            self.register.paths.pop(name, None)
        for stream in self.register.by_family.get(name, ()):
            if stream.path and family(stream.path) == name:
                at = places.get((stream.device, stream.inode))
                if at is None or at.path != stream.path:
                    self.register.unplace(stream)
        unknown = [place for place in places.values() if not self._known_or_moving(place, name)]
        # A copy must be recognised before the live path's new bytes are: oldest first, the live path last.
        for place in sorted(unknown, key=lambda p: (p.path == name, p.mtime_ns, p.path)):
            if self.in_order and self.looks.awaits(name):
                break
            self._try_to_decide(place, name)
        if not self.looks.awaits(name):
            self.looks.decided(name)

    def _try_to_decide(self, place: Place, name: str) -> None:
        try:
            self._decide(place, name)
        except NotYetError:
            self.unfinished.add(name)
        except MovedError:
            self.unfinished.add(name)
            self.looks.forget(place)
        except DAMAGED as error:
            self.register.trouble(place.path, error)

    def _is_idle(self, path: str) -> bool:
        """Tell whether the only file of a family is as it was: most of thousands of files are."""
        place = self.register.look(path)
        stream = self.register.by_inode.get(place.key) if place else None
        if place is None or stream is None or stream.path != path:
            return False
        return stream.is_as_in(place)

    # Which stream is it?

    def _known_or_moving(self, place: Place, name: str) -> bool:
        """As ``_known``; a file that is being renamed or read through right now is left for the next look."""
        try:
            return self._known(place)
        except NotYetError:
            self.unfinished.add(name)
            return True
        except MovedError:
            self.unfinished.add(name)
            self.looks.forget(place)
            return True

    def _known(self, place: Place) -> bool:
        """Tell whether the file is the one a stream was last seen in, by inode, head and tail mark."""
        stream = self._at_inode(place)
        if stream is None:
            return False
        moved = stream.path != place.path
        if moved and stream.path and (other := self.register.look(stream.path)) and other.key == place.key:
            return True  # a second link to the same file
        shrunk = not place.compressed and place.size < max(stream.reached, stream.size if stream.path else 0)
        if not moved and not shrunk and stream.is_as_in(place):
            return True
        if shrunk or not self._verified(stream, place):
            if stream.path == place.path or stream.path is None:
                self.handles.close(stream)  # the descriptor shows the new bytes, too
                self.register.unplace(stream)
                self.register.by_inode.pop(place.key, None)
            return False
        self.register.place(stream, place)
        return True

    def _at_inode(self, place: Place) -> Stream | None:
        """Return the stream last seen in this inode; after a restart, several may have been, one after the other."""
        stream = self.register.by_inode.get(place.key)
        if stream is None or stream.path is not None:
            return stream
        rivals = [
            s for s in self.register.by_family[stream.family] if s.path is None and (s.device, s.inode) == place.key
        ]
        if len(rivals) > 1:
            for rival in sorted(rivals, key=lambda s: -s.mark_at):
                if self._verified(rival, place):
                    return rival
        return stream

    def _verified(self, stream: Stream, place: Place) -> bool:
        try:
            return self.looks.continues(stream, place, first_bytes(place))
        except DAMAGED:
            return False  # another file has the inode; what is wrong with it, if anything, is for _decide to say

    def _decide(self, place: Place, name: str) -> None:
        """Attach ``place`` to the stream it continues, note it as a copy, or begin a new stream.

        Where identical bytes allow two readings: a new file at the live path is new, one at a rotated name is a copy;
        a copy is only believed while its original is there to compare with, or gone.
        """
        if self._copies.holds(place, self.streams):
            return
        recent = self._now() - place.mtime_ns / 1e9 < QUIET_SECONDS
        if place.compressed and recent and not self.looks.whole(place):
            self.unfinished.add(name)  # still being compressed
            return
        first = first_bytes(place)
        length = head_length(first)
        if length is None:
            if not first or not self._finished(place, recent=recent):
                self._wait_for_first_line(place, name)
                return
            length = len(first)
        for stream in by_evidence(self._known_as(name, place), place):
            if stream.path is None:
                if may_continue(stream, place) and continues_open(stream, place, first, self.looks):
                    self.register.place(stream, place)
                    return
                if place.path != name and self._copies.held(stream, place, first):
                    self._copies.note(stream, place)
                    return
            elif may_copy(stream, place) and has_head(stream, first) and self._same(stream, place):
                self._copies.note(stream, place)
                return
        self._begin(place, name, first[:length])

    def _known_as(self, name: str, place: Place) -> list[Stream]:
        known = {s.id: s for key in (name, *families(place.path)) for s in self.register.by_family.get(key, ())}
        return list(known.values())

    def _same(self, stream: Stream, place: Place) -> bool:
        """Tell whether ``place`` holds a beginning of ``stream``; raises ``MovedError`` when it is too early to say."""
        content = self.register.open(stream)
        if content is None:
            if stream.path in self.errors:
                return False
            raise MovedError(place.path)  # what it was is judged once it is known where its original went
        same = self.looks.same_bytes(stream, content, place)
        if not self.verify(stream, content):
            # Its path, and even its inode, may be the next copy's by now: the original was compressed and removed.
            raise MovedError(place.path)
        if not same:
            return False
        ours = content.length()
        if ours is None or self.looks.end_mark(place)[0] <= ours:
            return True
        if ours < stream.size:
            raise MovedError(place.path)  # truncated since the last look
        return False

    def _finished(self, place: Place, *, recent: bool) -> bool:
        return self._one_shot or place.compressed or (place.rotated and not recent)

    def _wait_for_first_line(self, place: Place, name: str) -> None:
        if place.size and place.rotated:
            self.unfinished.add(name)

    def _begin(self, place: Place, name: str, head: bytes) -> None:
        hashed = digest(head)
        taken = [s.generation for s in self.register.by_family.get(name, ()) if s.head == hashed and s.family == name]
        generation = max(taken, default=-1) + 1
        named = stream_id(agent=self._agent_id, source=self.source, family=name, head=hashed, generation=generation)
        stream = Stream(
            id=named,
            source=self.source,
            family=name,
            head=hashed,
            head_bytes=len(head),
            generation=generation,
            path=None,
            last_path=place.path,
            device=place.device,
            inode=place.inode,
            size=0,
        )
        self.register.add(stream)
        self.register.fresh[stream.id] = stream
        self.register.place(stream, place)
        log.debug("stream_begins", source=self.source, path=place.path, stream=stream.id, generation=generation)

    # Where a stream is

    def mark(self, stream: Stream, offset: int) -> bytes:
        """Return the tail mark at ``offset``, empty when the bytes cannot be read."""
        content = self.register.open(stream)
        return mark_before(content, offset) if content is not None and offset else b""

    def verify(self, stream: Stream, content: Content) -> bool:
        """Tell whether the open file still has the stream's bytes before its mark; else have it resolved again."""
        if isinstance(content, Held):
            return True
        if is_compressed(stream.last_path):
            return True  # it does not change under its descriptor, and going back in it is dear
        if shows(stream, content):
            return True
        self.handles.close(stream)
        self.register.unplace(stream)
        self.register.by_inode.pop((stream.device, stream.inode), None)
        self.unfinished.add(family(stream.last_path))
        return False

    def close(self) -> None:
        """Let go of every open file."""
        self.handles.close_all()
