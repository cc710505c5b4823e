"""What is known of one source's streams: which there are, where each of them is, what the state has to be told."""

from __future__ import annotations

import errno
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agent.streams.content import Bounded, Plain, open_content
from agent.streams.family import family, is_compressed, loose_family
from agent.streams.handles import Handles
from agent.streams.places import NoFileError, is_unchanged, look, shows
from agent.streams.stream import END, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.state.records import CursorRow, StreamRow
    from agent.state.store import Store
    from agent.streams.content import Content
    from agent.streams.handles import Pool
    from agent.streams.hold import Holds
    from agent.streams.places import Place

log = structlog.get_logger(__name__)

QUIET_SECONDS = 5.0
"""A rotated file that was not written for this long is taken to be finished when its live path exists again."""

QUIET_ALONE_SECONDS = 60.0
"""The same where no live path exists, so that the name alone says that it was rotated."""


class Register:
    """The streams of one source and their places. It decides nothing: ``Catalog`` does."""

    def __init__(
        self,
        *,
        source: str,
        store: Store,
        changed: Callable[[Stream], None],
        holds: Holds | None,
        one_shot: bool,
        visible: Callable[[str], int] | None,
        now: Callable[[], float],
        pool: Pool | None = None,
    ) -> None:
        """Recall the streams that ``store`` knows; looks at no file."""
        self.source = source
        self.handles = Handles(pool)
        self.streams: dict[str, Stream] = {}
        self.errors: dict[str, str] = {}
        """Path → why it cannot be read; the source is degraded while it is not empty."""
        self.partial: dict[str, Stream] = {}
        """Streams whose last line was not complete when it was read."""
        self.unfinished: set[str] = set()
        """Families that have to be looked at again soon: a copy in progress, a first line not complete."""
        self.by_inode: dict[tuple[int, int], Stream] = {}
        self.by_family: defaultdict[str, list[Stream]] = defaultdict(list)
        self.paths: defaultdict[str, set[str]] = defaultdict(set)
        self.fresh: dict[str, Stream] = {}
        """Streams that are not in the state yet, and so not offered to lanes either."""
        self.stale: dict[str, Stream] = {}
        """Streams whose row in the state says where they were, not where they are."""
        self.recently_unplaced: dict[str, Stream] = {}
        self._odd: set[str] = set()
        self._holds = holds
        self._store = store
        self._changed = changed
        self._one_shot = one_shot
        self._visible = visible
        self._now = now
        store.recall_reads()
        for row in store.streams(source):
            self.recall(row)

    def recall(self, row: StreamRow) -> None:
        """Take over what the state says of a stream."""
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
        if self._holds is not None:
            self._holds.recall(stream)
        # What was read may have been sent: a file without these bytes is another one, also where no cursor passed them.
        stream.reached, stream.mark = self._store.reads.get(stream.id)
        stream.mark_at = stream.reached
        self.add(stream)
        self.recently_unplaced[stream.id] = stream
        self.by_inode[stream.device, stream.inode] = stream

    def add(self, stream: Stream) -> None:
        """Find ``stream`` from now on."""
        self.streams[stream.id] = stream
        for name in {stream.family, loose_family(stream.family), family(stream.last_path)}:
            self.by_family[name].append(stream)

    def recall_cursor(self, cursor: CursorRow) -> None:
        """Take over a lane's cursor as evidence of what the stream's bytes were."""
        stream = self.streams.get(cursor.stream)
        if stream is None or cursor.position >= END:
            return
        stream.reached = max(stream.reached, cursor.position)
        if cursor.mark and cursor.mark_at > stream.mark_at:
            stream.mark_at, stream.mark = cursor.mark_at, cursor.mark

    def put_path(self, path: str) -> str:
        """Note that a file may stand at ``path``; return the family to resolve."""
        name = family(path)
        self.paths[name].add(path)
        return name

    def families(self) -> list[str]:
        """Return every family that has a path or a placed stream."""
        return sorted(set(self.paths) | {s.family for s in self.streams.values() if s.path})

    def look(self, path: str) -> Place | None:
        """Return what stands at ``path`` as far as it may be read; None, and the error noted, where nothing can be."""
        try:
            place = look(path)
        except NoFileError as error:
            self.errors.pop(path, None)
            if path not in self._odd:
                self._odd.add(path)
                allowed = "regular files, and links to them"
                log.warning("not_a_file", source=self.source, path=path, found=str(error), allowed=allowed)
            return None
        except OSError as error:
            self.trouble(path, error)
            return None
        self._odd.discard(path)
        if place is None:
            self.errors.pop(path, None)
        elif self._visible is not None:
            place = replace(place, size=min(place.size, self._visible(path)))
        return place

    def trouble(self, path: str, error: Exception) -> None:
        """Note that ``path`` cannot be read, and look again soon; logged when it is news."""
        text = f"{path}: {error.strerror if isinstance(error, OSError) and error.strerror else error}"
        if self.errors.get(path) != text:
            log.warning("file_unreadable", source=self.source, path=path, error=text)
        self.errors[path] = text
        self.unfinished.add(family(path))

    def place(self, stream: Stream, place: Place) -> None:
        """Note that ``place`` holds the stream's bytes."""
        same_member = is_compressed(stream.last_path) and stream.inode == place.inode and is_unchanged(stream, place)
        if stream.path != place.path and (place.compressed or stream.inode != place.inode):
            self.handles.close(stream)
        if (stream.last_path, stream.device, stream.inode) != (place.path, place.device, place.inode):
            self.stale[stream.id] = stream
        if self.by_inode.get((stream.device, stream.inode)) is stream:
            del self.by_inode[stream.device, stream.inode]
        stream.path = stream.last_path = place.path
        if stream not in self.by_family[family(place.path)]:
            self.by_family[family(place.path)].append(stream)  # moved into another folder
        stream.device, stream.inode = place.device, place.inode
        stream.unplaced_at, stream.known_size = None, 0
        self.recently_unplaced.pop(stream.id, None)
        self.by_inode[place.key] = stream
        self.errors.pop(place.path, None)
        if place.compressed:
            stream.complete, stream.mtime_ns = stream.complete and same_member, place.mtime_ns
            self.offer(stream)
        else:
            stream.complete = True
            self.saw(stream, place, offer=True)

    def saw(self, stream: Stream, place: Place, *, offer: bool = False) -> None:
        """Take over the size of the stream's file, and offer it when it grew."""
        if stream.saw(place.size, place.mtime_ns, self._now()) or offer:
            self.offer(stream)

    def unplace(self, stream: Stream) -> None:
        """Note that no file is known to hold the stream's bytes."""
        if isinstance(stream.content, Plain) and not shows(stream, stream.content):
            self.handles.close(stream)  # cut and written anew before it went: its bytes are in a copy, if anywhere
        if stream.content is not None and stream.complete:
            # What was appended before a removal is only seen through the descriptor.
            stream.size = max(stream.size, stream.content.length() or 0)
        stream.path = None
        stream.unplaced_at = self._now()
        self.recently_unplaced[stream.id] = stream
        self.offer(stream)

    def offer(self, stream: Stream) -> None:
        """Tell of a stream that may have more to read, once the state knows it."""
        if stream.id not in self.fresh:
            self._changed(stream)

    def publish(self) -> None:
        """Commit new streams, then offer them: an id must not be sent before its meaning is on disk."""
        if not self.fresh and not self.stale:
            return
        fresh = list(self.fresh.values())
        rows = [s.row() for s in (self.stale | self.fresh).values()]
        self._store.put_streams(rows, durable=bool(fresh))
        self.fresh.clear()
        self.stale.clear()
        for stream in sorted(fresh, key=lambda s: s.order):
            self._changed(stream)

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
        return quiet < (QUIET_SECONDS if name in self.paths.get(name, ()) else QUIET_ALONE_SECONDS)

    def unplaced(self, now: float) -> list[Stream]:
        """Return the streams that lost their path in this run, a while ago, and are not written to any more."""
        return [
            stream
            for stream in self.recently_unplaced.values()
            if stream.path is None
            and now - (stream.unplaced_at or now) >= QUIET_SECONDS
            and (stream.content is None or now - stream.mtime_ns / 1e9 >= QUIET_ALONE_SECONDS)
        ]

    def look_at_removed(self) -> None:
        """Look for growth of files that are only open here: their program may write on until it is told to reopen."""
        for stream in list(self.recently_unplaced.values()):
            if stream.path is None and stream.content is not None and stream.complete:
                status, length = stream.content.stat(), stream.content.length() or 0
                if length > stream.size and stream.saw(length, status.st_mtime_ns, self._now()):
                    self.offer(stream)

    def was_read(self, stream: Stream) -> None:
        """Note how far ``stream`` was read before anything of it is sent, so that over a kill its ids keep meaning."""
        self._store.reads.put(stream.id, stream.mark_at, stream.mark)

    def write_off(self, stream: Stream, position: int) -> int:
        """Give up what is beyond ``position`` for as long as no file shows it again; return where it ended.

        The cursor does not move: a file system that was away for a while, or a late copy, is read on from there.
        """
        stream.known_size = max(stream.known_size, stream.size)
        stream.size = min(stream.size, position)
        self.stale[stream.id] = stream
        return stream.known_size

    def give_up(self, stream: Stream) -> None:
        """Take the stream's bytes for gone, now."""
        stream.unplaced_at = 0.0
        self.offer(stream)

    def release(self, stream: Stream) -> None:
        """Close the file of a stream that every lane is past."""
        self.handles.close(stream)
        self.partial.pop(stream.id, None)
        self.recently_unplaced.pop(stream.id, None)

    def forget(self, stream: Stream) -> None:
        """Know nothing of a stream any more whose file was removed for good."""
        self.release(stream)
        self._store.forget_stream(stream.id)
        self.streams.pop(stream.id, None)
        for index in (self.fresh, self.stale, self.partial, self.recently_unplaced):
            index.pop(stream.id, None)
        if self.by_inode.get((stream.device, stream.inode)) is stream:
            del self.by_inode[stream.device, stream.inode]
        for name in {stream.family, loose_family(stream.family), family(stream.last_path)}:
            if stream in self.by_family.get(name, ()):
                self.by_family[name].remove(stream)
            if not self.by_family.get(name):
                self.by_family.pop(name, None)
        self.paths.pop(stream.family, None)
        self.unfinished.discard(stream.family)

    def open(self, stream: Stream) -> Content | None:
        """Return the stream's bytes, None while no file is known to hold them."""
        content = self.handles.get(stream)
        if content is None and stream.path is not None:
            try:
                content = self._opened(stream.path)
            except FileNotFoundError:
                self.unfinished.add(family(stream.path))
                return self._open_hold(stream)
            except OSError as error:
                self.trouble(stream.path, error)
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

    def _opened(self, path: str) -> Content:
        try:
            return open_content(path)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not self.handles.pool.make_room():
                raise
            return open_content(path)

    def _open_hold(self, stream: Stream) -> Content | None:
        if self._holds is None:
            return None
        try:
            content = self._holds.open(stream.id)
        except OSError as error:
            self.trouble(stream.last_path, error)
            return None
        if content is not None:
            self.handles.keep(stream, content)
        return content
