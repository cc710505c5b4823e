"""All streams of one source: which file holds which of them now.

``resolve`` looks at the files of one family together and decides for each whether it continues a known stream, is a
copy of one, or is new. The rules stand in ``evidence`` and ``copies``, their order in ``decide``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agent.streams.copies import Copies
from agent.streams.decide import Decider
from agent.streams.family import family, is_compressed
from agent.streams.hold import Held
from agent.streams.looks import Looks, NotYetError
from agent.streams.places import MovedError, is_unchanged, mark_before, shows
from agent.streams.register import Register
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.state.store import Store
    from agent.streams.content import Content
    from agent.streams.handles import Pool
    from agent.streams.hold import Holds
    from agent.streams.places import Place
    from agent.streams.stream import Stream


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
        self.looks = Looks()
        self.in_order = True
        """Whether the files of a family are decided one after the other, however long that takes."""
        self._decider = Decider(
            self.register,
            agent_id=agent_id,
            looks=self.looks,
            copies=Copies(source=source, store=store, streams=self.streams, looks=self.looks),
            verify=self.verify,
            one_shot=one_shot,
            now=now,
        )

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
            self._decider.decide(place, name)
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
        return is_unchanged(stream, place)

    def _known_or_moving(self, place: Place, name: str) -> bool:
        """As ``known``; a file that is being renamed or read through right now is left for the next look."""
        try:
            return self._decider.known(place)
        except NotYetError:
            self.unfinished.add(name)
            return True
        except MovedError:
            self.unfinished.add(name)
            self.looks.forget(place)
            return True

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
