"""Which stream a file holds: the one it was last seen as, one it continues, one it is a copy of, or a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from agent.streams.evidence import by_evidence, continues_open, may_continue, may_copy
from agent.streams.family import families
from agent.streams.identity import digest, head_length, stream_id
from agent.streams.places import MovedError, first_bytes, has_head, is_unchanged
from agent.streams.register import QUIET_SECONDS
from agent.streams.stream import Stream
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.streams.content import Content
    from agent.streams.copies import Copies
    from agent.streams.looks import Looks
    from agent.streams.places import Place
    from agent.streams.register import Register

log = structlog.get_logger(__name__)


class Decider:
    """Decides for one file at a time, and writes it into the register.

    Raises ``NotYetError`` while a large compressed member is read through, ``MovedError`` when the file is being
    rotated: ask again later.
    """

    def __init__(
        self,
        register: Register,
        *,
        agent_id: str,
        looks: Looks,
        copies: Copies,
        verify: Callable[[Stream, Content], bool],
        one_shot: bool,
        now: Callable[[], float],
    ) -> None:
        """``verify`` tells whether an open file still has the stream's bytes."""
        self._register = register
        self._agent_id = agent_id
        self._looks = looks
        self._copies = copies
        self._verify = verify
        self._one_shot = one_shot
        self._now = now

    def known(self, place: Place) -> bool:
        """Tell whether the file is the one a stream was last seen in, by inode, head and tail mark."""
        stream = self._at_inode(place)
        if stream is None:
            return False
        moved = stream.path != place.path
        if moved and stream.path and (other := self._register.look(stream.path)) and other.key == place.key:
            return True  # a second link to the same file
        shrunk = not place.compressed and place.size < max(stream.reached, stream.size if stream.path else 0)
        if not moved and not shrunk and is_unchanged(stream, place):
            return True
        if shrunk or not self._verified(stream, place):
            if stream.path == place.path or stream.path is None:
                self._register.handles.close(stream)  # the descriptor shows the new bytes, too
                self._register.unplace(stream)
                self._register.by_inode.pop(place.key, None)
            return False
        self._register.place(stream, place)
        return True

    def _at_inode(self, place: Place) -> Stream | None:
        """Return the stream last seen in this inode; after a restart, several may have been, one after the other."""
        stream = self._register.by_inode.get(place.key)
        if stream is None or stream.path is not None:
            return stream
        rivals = [
            s for s in self._register.by_family[stream.family] if s.path is None and (s.device, s.inode) == place.key
        ]
        if len(rivals) > 1:
            for rival in sorted(rivals, key=lambda s: -s.mark_at):
                if self._verified(rival, place):
                    return rival
        return stream

    def _verified(self, stream: Stream, place: Place) -> bool:
        try:
            return self._looks.continues(stream, place, first_bytes(place))
        except DAMAGED:
            return False  # another file has the inode; what is wrong with it, if anything, is for decide() to say

    def decide(self, place: Place, name: str) -> None:
        """Attach ``place`` to the stream it continues, note it as a copy, or begin a new stream.

        Where identical bytes allow two readings: a new file at the live path is new, one at a rotated name is a copy;
        a copy is only believed while its original is there to compare with, or gone.
        """
        if self._copies.holds(place, self._register.streams):
            return
        recent = self._now() - place.mtime_ns / 1e9 < QUIET_SECONDS
        if place.compressed and recent and not self._looks.whole(place):
            self._register.unfinished.add(name)  # still being compressed
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
                if may_continue(stream, place) and continues_open(stream, place, first, self._looks):
                    self._register.place(stream, place)
                    return
                if place.path != name and self._copies.held(stream, place, first):
                    self._copies.note(stream, place)
                    return
            elif may_copy(stream, place) and has_head(stream, first) and self._same(stream, place):
                self._copies.note(stream, place)
                return
        self._begin(place, name, first[:length])

    def _known_as(self, name: str, place: Place) -> list[Stream]:
        known = {s.id: s for key in (name, *families(place.path)) for s in self._register.by_family.get(key, ())}
        return list(known.values())

    def _same(self, stream: Stream, place: Place) -> bool:
        """Tell whether ``place`` holds a beginning of ``stream``; raises ``MovedError`` when it is too early to say."""
        content = self._register.open(stream)
        if content is None:
            if stream.path in self._register.errors:
                return False
            raise MovedError(place.path)  # what it was is judged once it is known where its original went
        same = self._looks.same_bytes(stream, content, place)
        if not self._verify(stream, content):
            # Its path, and even its inode, may be the next copy's by now: the original was compressed and removed.
            raise MovedError(place.path)
        if not same:
            return False
        ours = content.length()
        if ours is None or self._looks.end_mark(place)[0] <= ours:
            return True
        if ours < stream.size:
            raise MovedError(place.path)  # truncated since the last look
        return False

    def _finished(self, place: Place, *, recent: bool) -> bool:
        return self._one_shot or place.compressed or (place.rotated and not recent)

    def _wait_for_first_line(self, place: Place, name: str) -> None:
        if place.size and place.rotated:
            self._register.unfinished.add(name)

    def _begin(self, place: Place, name: str, head: bytes) -> None:
        hashed, source = digest(head), self._register.source
        taken = [s.generation for s in self._register.by_family.get(name, ()) if s.head == hashed and s.family == name]
        generation = max(taken, default=-1) + 1
        named = stream_id(agent=self._agent_id, source=source, family=name, head=hashed, generation=generation)
        stream = Stream(
            id=named,
            source=source,
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
        self._register.add(stream)
        self._register.fresh[stream.id] = stream
        self._register.place(stream, place)
        log.debug(
            "stream_begins", source=self._register.source, path=place.path, stream=stream.id, generation=generation
        )
