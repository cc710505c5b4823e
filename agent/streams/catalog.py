"""All streams of one source: which file holds which of them now.

``resolve`` looks at the files of one family together and decides for each whether it continues a known stream, is a
copy of one, or is new. The rules stand in ``evidence`` and ``copies``, their order in ``_decide``.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agent.streams.content import DAMAGED, Bounded, open_content
from agent.streams.copies import Copies
from agent.streams.evidence import by_evidence, continues_open, may_continue, may_copy
from agent.streams.family import families, family, is_compressed, loose_family
from agent.streams.handles import Handles
from agent.streams.hold import Held
from agent.streams.identity import digest, head_length, stream_id
from agent.streams.places import (
    MovedError,
    Place,
    continues,
    end_mark,
    first_bytes,
    furthest_mark,
    has_head,
    look,
    mark_before,
    same_bytes,
    whole,
)
from agent.streams.stream import END, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.state.records import CursorRow, StreamRow
    from agent.state.store import Store
    from agent.streams.content import Content
    from agent.streams.hold import Holds

log = structlog.get_logger(__name__)

QUIET_SECONDS = 5.0
"""A rotated file that was not written for this long is taken to be finished when its live path exists again."""

QUIET_ALONE_SECONDS = 60.0
"""The same where no live path exists, so that the name alone says that it was rotated."""


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
    ) -> None:
        """Recall the streams that ``store`` knows; looks at no file yet.

        ``visible`` tells how many bytes of the file at a path may be read; None: all of them.
        """
        self.source = source
        self.holds = holds
        self.streams: dict[str, Stream] = {}
        self.handles = Handles()
        self.errors: dict[str, str] = {}
        """Path → why it cannot be read; the source is degraded while it is not empty."""
        self.partial: dict[str, Stream] = {}
        """Streams whose last line was not complete when it was read."""
        self.unfinished: set[str] = set()
        """Families that have to be looked at again soon: a copy in progress, a first line not complete."""
        self._agent_id = agent_id
        self._store = store
        self._changed = changed
        self._one_shot = one_shot
        self._visible = visible
        self._now = now
        self._by_inode: dict[tuple[int, int], Stream] = {}
        self._by_family: defaultdict[str, list[Stream]] = defaultdict(list)
        self._paths: defaultdict[str, set[str]] = defaultdict(set)
        self._fresh: dict[str, Stream] = {}
        self._stale: dict[str, Stream] = {}
        """Streams whose row in the state says where they were, not where they are."""
        self._recently_unplaced: dict[str, Stream] = {}
        for row in store.streams(source):
            self._recall(row)
        self._copies = Copies(source=source, store=store, streams=self.streams)

    def _recall(self, row: StreamRow) -> None:
        stream = Stream(
            id=row.id,
            source=row.source,
            family=row.family,
            head=row.head,
            head_bytes=row.head_bytes,
            generation=row.generation,
            path=None,
            last_path=row.path,
            device=row.device,
            inode=row.inode,
            size=row.size,
            unplaced_at=self._now(),
        )
        self._add(stream)
        self._recently_unplaced[stream.id] = stream
        self._by_inode[stream.device, stream.inode] = stream

    def _add(self, stream: Stream) -> None:
        self.streams[stream.id] = stream
        for name in {stream.family, loose_family(stream.family), family(stream.last_path)}:
            self._by_family[name].append(stream)

    def recall_cursor(self, cursor: CursorRow) -> None:
        """Take over a lane's cursor as evidence of what the stream's bytes were."""
        stream = self.streams.get(cursor.stream)
        if stream is None or cursor.position >= END:
            return
        stream.reached = max(stream.reached, cursor.position)
        if cursor.mark and cursor.mark_at > stream.mark_at:
            stream.mark_at, stream.mark = cursor.mark_at, cursor.mark

    # What the file system shows

    def put_path(self, path: str) -> str:
        """Note that a file may stand at ``path``; return the family to resolve."""
        name = family(path)
        self._paths[name].add(path)
        return name

    def grown(self, path: str) -> bool:
        """Look at a file that was written to; tell whether that was all, so that its family need not be resolved."""
        found = self._look(path)
        stream = self._by_inode.get(found.key) if found else None
        if not found or not stream or stream.path != path or found.size < stream.size or found.compressed:
            return False
        self._saw(stream, found)
        return True

    def families(self) -> list[str]:
        """Return every family that has a path or a placed stream."""
        return sorted(set(self._paths) | {s.family for s in self.streams.values() if s.path})

    def resolve(self, families: Iterable[str]) -> None:
        """Decide for every file of ``families`` which stream it holds."""
        for name in families:
            self.unfinished.discard(name)
            self._resolve(name)
        self._publish()

    def _resolve(self, name: str) -> None:
        places: dict[tuple[int, int], Place] = {}
        paths = self._paths.get(name, set())
        if len(paths) == 1 and self._is_idle(*paths):
            return
        for path in sorted(paths, key=lambda p: (p != name, p)):
            if place := self._look(path):
                places.setdefault(place.key, place)  # a second link to the same file adds nothing
            else:
                paths.discard(path)
        if not paths:
            self._paths.pop(name, None)
        for stream in self._by_family.get(name, ()):
            if stream.path and family(stream.path) == name:
                at = places.get((stream.device, stream.inode))
                if at is None or at.path != stream.path:
                    self._unplace(stream)
        unknown = [place for place in places.values() if not self._known_or_moving(place, name)]
        # A copy must be recognised before the live path's new bytes are: oldest first, the live path last.
        for place in sorted(unknown, key=lambda p: (p.path == name, p.mtime_ns, p.path)):
            try:
                self._decide(place, name)
            except MovedError:
                self.unfinished.add(name)
            except DAMAGED as error:
                self._trouble(place.path, error)

    def _is_idle(self, path: str) -> bool:
        """Tell whether the only file of a family is as it was: most of thousands of files are."""
        place = self._look(path)
        stream = self._by_inode.get(place.key) if place else None
        if place is None or stream is None or stream.path != path:
            return False
        return (place.size, place.mtime_ns) == (stream.size, stream.mtime_ns)

    def _look(self, path: str) -> Place | None:
        try:
            place = look(path)
        except OSError as error:
            self._trouble(path, error)
            return None
        if place is None:
            self.errors.pop(path, None)
        elif self._visible is not None:
            place = replace(place, size=min(place.size, self._visible(path)))
        return place

    def _trouble(self, path: str, error: Exception) -> None:
        text = f"{path}: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
        if self.errors.get(path) != text:
            log.warning("file_unreadable", source=self.source, path=path, error=text)
        self.errors[path] = text
        self.unfinished.add(family(path))

    # Which stream is it?

    def _known_or_moving(self, place: Place, name: str) -> bool:
        """As ``_known``; a file that is being renamed right now is left for the next look."""
        try:
            return self._known(place)
        except MovedError:
            self.unfinished.add(name)
            return True

    def _known(self, place: Place) -> bool:
        """Tell whether the file is the one a stream was last seen in, by inode, head and tail mark."""
        stream = self._at_inode(place)
        if stream is None:
            return False
        moved = stream.path != place.path
        if moved and stream.path and (other := self._look(stream.path)) and other.key == place.key:
            return True  # a second link to the same file
        shrunk = not place.compressed and place.size < max(stream.reached, stream.size if stream.path else 0)
        if not moved and not shrunk and (place.size, place.mtime_ns) == (stream.size, stream.mtime_ns):
            return True
        if shrunk or not self._verified(stream, place):
            if stream.path == place.path or stream.path is None:
                self.handles.close(stream)  # the descriptor shows the new bytes, too
                self._unplace(stream)
                self._by_inode.pop(place.key, None)
            return False
        self._place(stream, place)
        return True

    def _at_inode(self, place: Place) -> Stream | None:
        """Return the stream last seen in this inode; after a restart, several may have been, one after the other."""
        stream = self._by_inode.get(place.key)
        if stream is None or stream.path is not None:
            return stream
        rivals = [s for s in self._by_family[stream.family] if s.path is None and (s.device, s.inode) == place.key]
        if len(rivals) > 1:
            for rival in sorted(rivals, key=lambda s: -s.mark_at):
                if self._verified(rival, place):
                    return rival
        return stream

    def _verified(self, stream: Stream, place: Place) -> bool:
        try:
            return continues(stream, place, first_bytes(place))
        except DAMAGED as error:
            self._trouble(place.path, error)
            return False

    def _decide(self, place: Place, name: str) -> None:
        """Attach ``place`` to the stream it continues, note it as a copy, or begin a new stream.

        Where identical bytes allow two readings: a new file at the live path is new, one at a rotated name is a copy;
        a copy is only believed while its original is there to compare with, or gone.
        """
        if self._copies.holds(place, self.streams):
            return
        recent = self._now() - place.mtime_ns / 1e9 < QUIET_SECONDS
        if place.compressed and recent and not whole(place):
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
                if may_continue(stream, place) and continues_open(stream, place, first):
                    self._place(stream, place)
                    return
                if place.path != name and self._copies.held(stream, place, first):
                    self._copies.note(stream, place)
                    return
            elif may_copy(stream, place) and has_head(stream, first) and self._same(stream, place):
                self._copies.note(stream, place)
                return
        self._begin(place, name, first[:length])

    def _known_as(self, name: str, place: Place) -> list[Stream]:
        known = {s.id: s for key in (name, *families(place.path)) for s in self._by_family.get(key, ())}
        return list(known.values())

    def _same(self, stream: Stream, place: Place) -> bool:
        """Tell whether ``place`` holds a beginning of ``stream``; raises ``MovedError`` when it is too early to say."""
        content = self.open(stream)
        if content is None:
            if stream.path is None or not os.path.exists(stream.path):
                raise MovedError(place.path)  # what it was is judged once it is known where its original went
            return False
        if not same_bytes(content, place):
            return False
        ours = content.length()
        if ours is None or end_mark(place)[0] <= ours:
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
        taken = [s.generation for s in self._by_family.get(name, ()) if s.head == hashed and s.family == name]
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
        self._add(stream)
        self._fresh[stream.id] = stream
        self._place(stream, place)
        log.debug("stream_begins", source=self.source, path=place.path, stream=stream.id, generation=generation)

    # Where a stream is

    def _place(self, stream: Stream, place: Place) -> None:
        if stream.path != place.path and (place.compressed or stream.inode != place.inode):
            self.handles.close(stream)
        if (stream.last_path, stream.device, stream.inode) != (place.path, place.device, place.inode):
            self._stale[stream.id] = stream
        if self._by_inode.get((stream.device, stream.inode)) is stream:
            del self._by_inode[stream.device, stream.inode]
        stream.path = stream.last_path = place.path
        if stream not in self._by_family[family(place.path)]:
            self._by_family[family(place.path)].append(stream)  # moved into another folder
        stream.device, stream.inode = place.device, place.inode
        stream.unplaced_at, stream.known_size = None, 0
        self._recently_unplaced.pop(stream.id, None)
        self._by_inode[place.key] = stream
        self.errors.pop(place.path, None)
        if place.compressed:
            stream.complete, stream.mtime_ns = False, place.mtime_ns
            self._offer(stream)
        else:
            stream.complete = True
            self._saw(stream, place, offer=True)

    def _saw(self, stream: Stream, place: Place, *, offer: bool = False) -> None:
        if stream.saw(place.size, place.mtime_ns, self._now()) or offer:
            self._offer(stream)

    def _unplace(self, stream: Stream) -> None:
        if stream.content is not None and stream.complete:
            # What was appended before a removal is only seen through the descriptor.
            stream.size = max(stream.size, stream.content.length() or 0)
        stream.path = None
        stream.unplaced_at = self._now()
        self._recently_unplaced[stream.id] = stream
        self._offer(stream)

    def _offer(self, stream: Stream) -> None:
        if stream.id not in self._fresh:
            self._changed(stream)

    def _publish(self) -> None:
        """Commit new streams, then offer them: an id must not be sent before its meaning is on disk."""
        if not self._fresh and not self._stale:
            return
        fresh = list(self._fresh.values())
        rows = [s.row() for s in (self._stale | self._fresh).values()]
        self._store.put_streams(rows, durable=bool(fresh))
        self._fresh.clear()
        self._stale.clear()
        for stream in sorted(fresh, key=lambda s: s.order):
            self._changed(stream)

    def open(self, stream: Stream) -> Content | None:
        """Return the stream's bytes, None while no file is known to hold them."""
        content = self.handles.get(stream)
        if content is None and stream.path is not None:
            try:
                content = open_content(stream.path)
            except FileNotFoundError:
                self.unfinished.add(family(stream.path))
                return self._open_hold(stream)
            except OSError as error:
                self._trouble(stream.path, error)
                return None
            status = content.stat()
            # Rotation may have put another file there since the last look.
            if not stream.inode_is(status):
                content.close()
                self.unfinished.add(family(stream.path))
                return None
            if self._visible is not None:
                content = Bounded(content, partial(self._visible, stream.path))
            self.handles.keep(stream, content)
        return content or self._open_hold(stream)

    def _open_hold(self, stream: Stream) -> Content | None:
        if self.holds is None:
            return None
        try:
            content = self.holds.open(stream.id)
        except OSError as error:
            self._trouble(stream.last_path, error)
            return None
        if content is not None:
            self.handles.keep(stream, content)
        return content

    def give_up(self, stream: Stream) -> None:
        """Take the stream's bytes for gone, now."""
        stream.unplaced_at = 0.0
        self._offer(stream)

    def mark(self, stream: Stream, offset: int) -> bytes:
        """Return the tail mark at ``offset``, empty when the bytes cannot be read."""
        content = self.open(stream)
        return mark_before(content, offset) if content is not None and offset else b""

    def verify(self, stream: Stream, content: Content) -> bool:
        """Tell whether the open file still has the stream's bytes before its mark; else have it resolved again."""
        if isinstance(content, Held):
            return True
        if is_compressed(stream.last_path):
            return True  # it does not change under its descriptor, and going back in it is dear
        offset, mark = furthest_mark(stream)
        same = mark_before(content, offset) == mark if offset else has_head(stream, content.read(0, stream.head_bytes))
        if same:
            return True
        self.handles.close(stream)
        self._unplace(stream)
        self._by_inode.pop((stream.device, stream.inode), None)
        self.unfinished.add(family(stream.last_path))
        return False

    def can_grow(self, stream: Stream) -> bool:
        """Tell whether a partial last line may still be completed."""
        if self._one_shot or not stream.complete:
            return False
        quiet = self._now() - stream.mtime_ns / 1e9
        if stream.path is None:
            return quiet < QUIET_SECONDS
        name = family(stream.path)
        if name == stream.path:
            return True
        return quiet < (QUIET_SECONDS if name in self._paths.get(name, ()) else QUIET_ALONE_SECONDS)

    def unplaced(self, now: float) -> list[Stream]:
        """Return the streams that lost their path in this run, a while ago, and are not written to any more."""
        return [
            stream
            for stream in self._recently_unplaced.values()
            if stream.path is None
            and now - (stream.unplaced_at or now) >= QUIET_SECONDS
            and (stream.content is None or now - stream.mtime_ns / 1e9 >= QUIET_ALONE_SECONDS)
        ]

    def look_at_removed(self) -> None:
        """Look for growth of files that are only open here: their program may write on until it is told to reopen."""
        for stream in list(self._recently_unplaced.values()):
            if stream.path is None and stream.content is not None and stream.complete:
                status = stream.content.stat()
                if status.st_size > stream.size and stream.saw(status.st_size, status.st_mtime_ns, self._now()):
                    self._offer(stream)

    def write_off(self, stream: Stream, position: int) -> int:
        """Give up what is beyond ``position`` for as long as no file shows it again; return where it ended.

        The cursor does not move: a file system that was away for a while, or a late copy, is read on from there.
        """
        stream.known_size = max(stream.known_size, stream.size)
        stream.size = min(stream.size, position)
        self._stale[stream.id] = stream
        return stream.known_size

    def release(self, stream: Stream) -> None:
        """Close the file of a stream that every lane is past."""
        self.handles.close(stream)
        self.partial.pop(stream.id, None)
        self._recently_unplaced.pop(stream.id, None)

    def forget(self, stream: Stream) -> None:
        """Know nothing of a stream any more whose file was removed for good."""
        self.release(stream)
        self._store.forget_stream(stream.id)
        self.streams.pop(stream.id, None)
        for index in (self._fresh, self._stale, self.partial, self._recently_unplaced):
            index.pop(stream.id, None)
        if self._by_inode.get((stream.device, stream.inode)) is stream:
            del self._by_inode[stream.device, stream.inode]
        for name in {stream.family, loose_family(stream.family), family(stream.last_path)}:
            if stream in self._by_family.get(name, ()):
                self._by_family[name].remove(stream)
            if not self._by_family.get(name):
                self._by_family.pop(name, None)
        self._paths.pop(stream.family, None)
        self.unfinished.discard(stream.family)

    def close(self) -> None:
        """Let go of every open file."""
        self.handles.close_all()
