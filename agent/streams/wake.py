"""The doorbell: tells which paths may have changed. Only a hint; the poll tick is the floor under it.

A lost notification costs latency, never data, so every implementation may answer ``None``: look at everything.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Literal, Protocol

import anyio
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchfiles._rust_notify import RustNotify

log = structlog.get_logger(__name__)

Kind = Literal["auto", "inotify", "watchfiles", "poll"]


class Doorbell(Protocol):
    """Rings when something changes in one of the watched folders."""

    def watch(self, folders: Iterable[str]) -> None:
        """Replace what is watched; folders that do not exist are passed over."""
        ...

    async def rung(self) -> set[str] | None:
        """Wait for the next change; return the paths, None when anything may have changed."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


class Silent:
    """Never rings: everything is left to the poll tick (for file systems that cannot tell)."""

    def watch(self, folders: Iterable[str]) -> None:
        """Watch nothing."""

    async def rung(self) -> set[str] | None:
        """Wait for ever."""
        await anyio.sleep_forever()
        return None

    def close(self) -> None:
        """Nothing is open."""


class Inotify:
    """Linux inotify on folders: sub-millisecond, and free while nothing happens."""

    def __init__(self) -> None:
        """Open the descriptor; raises ``OSError`` when the limit of instances is reached."""
        from inotify_simple import INotify, flags

        self._inotify = INotify(nonblocking=True)
        self._mask = (
            flags.MODIFY
            | flags.CREATE
            | flags.DELETE
            | flags.MOVED_FROM
            | flags.MOVED_TO
            | flags.ATTRIB
            | flags.DELETE_SELF
            | flags.MOVE_SELF
            | flags.ONLYDIR
        )
        self._overflow = flags.Q_OVERFLOW | flags.DELETE_SELF | flags.MOVE_SELF | flags.IGNORED
        self._folders: dict[int, str] = {}
        self._failed = False

    def watch(self, folders: Iterable[str]) -> None:
        """Add and remove watches so that exactly ``folders`` are watched."""
        wanted, have = set(folders), {path: number for number, path in self._folders.items()}
        for path in have.keys() - wanted:
            self._folders.pop(have[path], None)
            try:
                self._inotify.rm_watch(have[path])
            except OSError:
                continue  # it went away with its folder
        for path in wanted - have.keys():
            try:
                self._folders[self._inotify.add_watch(os.fsencode(path), self._mask)] = path
            except FileNotFoundError:
                continue
            except OSError as error:
                if not self._failed:
                    self._failed = True
                    log.warning("watch_failed", folder=path, error=error.strerror, then="only polled")

    async def rung(self) -> set[str] | None:
        """Wait until the kernel has something; return the paths it names."""
        await anyio.wait_readable(self._inotify.fileno())
        paths: set[str] = set()
        everything = False
        for number, mask, _cookie, name in self._inotify.read(timeout=0):
            folder = self._folders.get(number)
            if mask & self._overflow:
                everything = True
                if folder is not None:
                    self._folders.pop(number, None)
            elif folder is not None:
                paths.add(os.path.join(folder, name))
        return None if everything else paths

    def close(self) -> None:
        """Close the descriptor."""
        self._inotify.close()


class WatchFiles:
    """The watchfiles library, where there is no inotify. Latency about one step, a little idle CPU.

    One thread watches on while nobody waits: what happens between two waits rings at the second.
    """

    STEP_MS = 20

    def __init__(self) -> None:
        """Watch nothing yet; raises ``OSError`` when there is no descriptor left."""
        self._folders: frozenset[str] = frozenset()
        self._found: deque[set[tuple[int, str]]] = deque()
        self._everything = False
        self._renewed = False
        self._ended = Event()
        self._failed = False
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)

    def watch(self, folders: Iterable[str]) -> None:
        """Watch exactly ``folders``; when they change, the next wait ends at once."""
        from watchfiles._rust_notify import RustNotify

        found = frozenset(folder for folder in folders if os.path.isdir(folder))
        if found == self._folders and not self._renewed:
            return
        try:
            notify = RustNotify(sorted(found), False, False, 300, False, True) if found else None
        except OSError as error:  # one of them has gone, or the system's limit is reached: asked again at the next scan
            if not self._failed:
                self._failed = True
                log.warning("watch_failed", folder=error.filename, error=str(error), then="only polled")
            return
        self._failed = False
        self._ended.set()
        self._ended = Event()
        changed = found != self._folders and bool(self._folders)
        self._folders, self._renewed = found, False
        if notify is not None:
            Thread(target=self._listen, args=(notify, self._ended), daemon=True, name="watchfiles").start()
        if changed:
            self._everything = True
            self._ring()

    async def rung(self) -> set[str] | None:
        """Wait for the next batch of changes."""
        await anyio.wait_readable(self._bell)
        while True:
            try:
                if not self._bell.recv(4096):
                    break
            except BlockingIOError:
                break
        from watchfiles import Change

        changes: set[tuple[int, str]] = set()
        while self._found:
            changes |= self._found.popleft()
        if any(path in self._folders and change != Change.modified for change, path in changes):
            self._renewed = self._everything = True  # that folder went, or is another one now that nobody watches yet
        everything, self._everything = self._everything, False
        return None if everything else {path for _change, path in changes}

    def close(self) -> None:
        """End the thread, within a step."""
        self._ended.set()
        self._bell.close()
        self._rope.close()

    def _listen(self, notify: RustNotify, ended: Event) -> None:
        try:
            with notify:
                while isinstance(found := notify.watch(self.STEP_MS * 5, self.STEP_MS, 0, ended), set):
                    self._found.append(found)
                    self._ring()
        except RuntimeError as error:  # whatever the library's own thread could not go on with
            log.warning("watch_failed", folder=None, error=str(error), then="only polled")

    def _ring(self) -> None:
        with suppress(OSError):  # rung already more often than anybody listened, or closed
            self._rope.send(b"\0")


def doorbell(kind: Kind) -> Doorbell:
    """Return the doorbell for ``kind``; ``auto`` is inotify on Linux, else watchfiles.

    When no inotify instance or descriptor is left, polling takes over and that is logged.
    """
    if kind == "poll":
        return Silent()
    try:
        if kind == "watchfiles" or (kind == "auto" and not sys.platform.startswith("linux")):
            return WatchFiles()
        return Inotify()
    except OSError as error:
        log.warning("inotify_unavailable", error=error.strerror, then="polling", hint="fs.inotify.max_user_instances")
        return Silent()
