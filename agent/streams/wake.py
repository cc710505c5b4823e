"""The doorbell: tells which paths may have changed. Only a hint; the poll tick is the floor under it.

A lost notification costs latency, never data, so every implementation may answer ``None``: look at everything.
"""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Literal, Protocol

import anyio
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """The watchfiles library, where there is no inotify. Latency about one step, a little idle CPU."""

    STEP_MS = 20

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._folders: frozenset[str] = frozenset()
        self._changed = anyio.Event()

    def watch(self, folders: Iterable[str]) -> None:
        """Watch exactly ``folders``; a running wait starts anew."""
        found = frozenset(folder for folder in folders if os.path.isdir(folder))
        if found != self._folders:
            self._folders = found
            self._changed.set()

    async def rung(self) -> set[str] | None:
        """Wait for the next batch of changes."""
        from watchfiles import awatch

        self._changed = anyio.Event()
        if not self._folders:
            await self._changed.wait()
            return None
        watching = awatch(
            *sorted(self._folders),
            watch_filter=None,  # the default filter hides names
            step=self.STEP_MS,
            debounce=self.STEP_MS * 5,
            recursive=False,
            stop_event=self._changed,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(watching.aclose)
            async for changes in watching:
                return {path for _change, path in changes}
        return None

    def close(self) -> None:
        """End a running wait."""
        self._changed.set()


def doorbell(kind: Kind) -> Doorbell:
    """Return the doorbell for ``kind``; ``auto`` is inotify on Linux, else watchfiles.

    When inotify has no instance left, polling takes over and that is logged.
    """
    if kind == "poll":
        return Silent()
    if kind == "watchfiles" or (kind == "auto" and not sys.platform.startswith("linux")):
        return WatchFiles()
    try:
        return Inotify()
    except OSError as error:
        log.warning("inotify_unavailable", error=error.strerror, then="polling", hint="fs.inotify.max_user_instances")
        return Silent()
