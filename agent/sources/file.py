"""The source ``file``: follows the files that its globs match, through rotation, truncation and compression."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import anyio
import structlog

from agent.errors import StateError
from agent.parsers import build
from agent.parsers.base import Common
from agent.sources.blocks import BlockReader
from agent.streams.catalog import Catalog
from agent.streams.discover import Patterns, roots
from agent.streams.pace import Pace
from agent.streams.wake import Silent, doorbell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from anyio.abc import TaskStatus

    from agent.config.model import FileSourceConfig
    from agent.state.store import Store
    from agent.stats import AgentStats, SourceStats
    from agent.streams.handles import Pool
    from agent.streams.hold import Holds
    from agent.streams.stream import Stream
    from agent.streams.wake import Doorbell

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
PACE_SECONDS = 0.01
"""While files are written to all the time, they are looked at this often; what comes after a quiet moment goes at once.

A wake-up for every line costs a core at some thousand lines a second. With the lane's ``delivery.min_interval`` this is
the most that a line waits for others.
"""
_ONE_SHOT_TICK = 0.1
_FAMILIES_AT_ONCE = 500
"""Resolved without a break: some milliseconds, in which nothing else runs."""
_SCAN_SHARE = 200.0
_ONE_SHOT_PATIENCE = 30.0


class FileSource:
    """One configured source of files. Lanes subscribe to hear of streams that have more to read."""

    def __init__(
        self,
        config: FileSourceConfig,
        *,
        agent_id: str,
        members: dict[str, object],
        store: Store,
        stats: SourceStats,
        never: Iterable[str] = (),
        one_shot: bool = False,
        paths: Sequence[str] | None = None,
        holds: Holds | None = None,
        visible: Callable[[str], int] | None = None,
        now: Callable[[], float] = time.time,
        pool: Pool | None = None,
    ) -> None:
        """Prepare; looks at no file yet.

        ``members`` are the members common to all events of this agent; ``never`` are the agent's own files;
        ``paths`` restricts a one-shot run to these files, whatever the globs say; ``holds`` keep rotated files;
        ``visible`` tells how much of a file may be read yet; ``pool`` bounds the open files of all sources.
        """
        self.config = config
        self.stats = stats
        self.scanned = anyio.Event()
        """Set once every file was looked at for the first time."""
        self.exhausted = False
        """In a one-shot run: nothing will be offered any more."""
        self._store = store
        self._one_shot = one_shot
        self._scan_seconds = 0.0
        self._now = now
        self._only = paths
        self._patterns = Patterns(config.include, config.exclude, never=never)
        self._listeners: list[Callable[[FileSource, Stream | None], None]] = []
        common = Common(members={**members, "source_name": config.name, **config.fields}, subsystem=config.subsystem)
        self.catalog = Catalog(
            source=config.name,
            agent_id=agent_id,
            store=store,
            changed=self._changed,
            one_shot=one_shot,
            holds=holds,
            visible=visible,
            now=now,
            pool=pool,
        )
        self.reader = BlockReader(
            catalog=self.catalog,
            parser=build(config.format, common),
            common=common,
            most_line=config.max_line_bytes,
            stats=stats,
        )

    @property
    def name(self) -> str:
        """The source's name."""
        return self.config.name

    def subscribe(self, listener: Callable[[FileSource, Stream | None], None]) -> None:
        """Call ``listener`` with every stream that may have more to read, and with None when the scan is done."""
        self._listeners.append(listener)
        self.reader.shared = len(self._listeners) > 1
        for stream in sorted(self.catalog.streams.values(), key=lambda s: s.order):
            listener(self, stream)

    def unsubscribe(self, listener: Callable[[FileSource, Stream | None], None]) -> None:
        """Stop calling ``listener``."""
        self._listeners.remove(listener)
        self.reader.shared = len(self._listeners) > 1

    def _changed(self, stream: Stream | None) -> None:
        for listener in self._listeners:
            listener(self, stream)

    async def run(self, agent: AgentStats, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Scan, then follow until cancelled; a one-shot run ends once every file was taken up.

        Reports started when the first scan is done.
        """
        try:
            self.catalog.looks.later = not self._one_shot
            await self._scan(agent)
            while self.catalog.looks.waiting:
                await self._decide_next(agent)
            self.catalog.in_order = False
            self.scanned.set()
            self._changed(None)  # a lane that runs already, as after a reload, was told to wait for this
            task_status.started()
            if self._one_shot:
                await self._finish(agent)
            else:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._decide_members, agent)
                    await self._follow(agent)
        finally:
            self.catalog.close()

    async def _decide_members(self, agent: AgentStats) -> None:
        """Decide what large compressed members are, while everything else goes on."""
        while True:
            await self._decide_next(agent)

    async def _decide_next(self, agent: AgentStats) -> None:
        name = await self.catalog.looks.answer()
        with _StateGuard(agent):
            self.catalog.resolve({name})

    async def _scan(self, agent: AgentStats) -> list[str]:
        """Look at every folder and every file; return the folders."""
        folders: list[str] = []
        if self._only is not None:
            for path in self._only:
                self.catalog.register.put_path(path)
        else:
            for folder in self._patterns.folders():
                folders.append(folder)
                self._list(folder)
                await anyio.lowlevel.checkpoint()
        families = self.catalog.register.families()
        for start in range(0, len(families), _FAMILIES_AT_ONCE):
            with _StateGuard(agent):
                self.catalog.resolve(families[start : start + _FAMILIES_AT_ONCE])
            await anyio.lowlevel.checkpoint()
        self._refresh_stats()
        return folders

    def _list(self, folder: str) -> None:
        try:
            for path in self._patterns.files(folder):
                self.catalog.register.put_path(path)
            self.catalog.errors.pop(folder, None)
        except FileNotFoundError:
            return
        except OSError as error:
            text = f"{folder}: {error.strerror}"
            if self.catalog.errors.get(folder) != text:
                log.warning("folder_unreadable", source=self.name, folder=folder, error=error.strerror)
            self.catalog.errors[folder] = text

    async def _finish(self, agent: AgentStats) -> None:
        """Wait, within reason, for copies in progress; then say that nothing more comes."""
        with anyio.move_on_after(_ONE_SHOT_PATIENCE):
            while self.catalog.unfinished:
                await anyio.sleep(_ONE_SHOT_TICK)
                with _StateGuard(agent):
                    self.catalog.resolve(set(self.catalog.unfinished))
        for name in sorted(self.catalog.unfinished):
            log.error("file_not_shipped", source=self.name, family=name, error=self.catalog.errors.get(name))
        self.end()
        await anyio.sleep_forever()

    def poke(self, path: str, agent: AgentStats) -> None:
        """Look at the file at ``path`` now, because it has grown."""
        with _StateGuard(agent):
            self._apply({path}, set())

    async def look_again(self, agent: AgentStats) -> None:
        """Look at every folder and file now, whatever the doorbell says."""
        await self._scan(agent)

    def end(self) -> None:
        """In a one-shot run: say that nothing more comes."""
        self.exhausted = True
        self._refresh_stats()
        self._changed(None)

    async def _follow(self, agent: AgentStats) -> None:
        bell = doorbell(self.config.watch)
        try:
            folders = await self._rewatch(bell.watch, agent)
            pace = Pace(PACE_SECONDS)
            while True:
                next_scan = anyio.current_time() + self._scan_interval(bell)
                while anyio.current_time() < next_scan:
                    rung: set[str] | None = set()
                    await anyio.sleep_until(pace.next_look)
                    with anyio.move_on_after(min(TICK_SECONDS, self.config.poll_interval)) as waited:
                        rung = await bell.rung()
                    if rung is None:
                        break
                    pace.looked(anyio.current_time())
                    with _StateGuard(agent):
                        if self._apply(rung, folders):
                            break
                        if waited.cancelled_caught:
                            self._tick()
                folders = await self._rewatch(bell.watch, agent)
        finally:
            bell.close()

    def _scan_interval(self, bell: Doorbell) -> float:
        """Return the seconds until the next whole scan: where a doorbell rings, scans cost 0.5 % of a core at most."""
        if isinstance(bell, Silent):
            return self.config.poll_interval
        return max(self.config.poll_interval, _SCAN_SHARE * self._scan_seconds)

    async def _rewatch(self, watch: Callable[[Iterable[str]], None], agent: AgentStats) -> set[str]:
        """Watch before listing, so that nothing that appears in between is missed."""
        began = time.thread_time()
        folders = set(self._patterns.folders())
        watch(folders | set(roots(self.config.include)))
        await self._scan(agent)
        self._scan_seconds = time.thread_time() - began
        return folders

    def _apply(self, rung: set[str], folders: set[str]) -> bool:
        """Look at what changed; tell whether a new folder calls for a whole scan."""
        families: set[str] = set()
        for path in rung:
            if self._patterns.matches(path):
                if not self.catalog.grown(path):
                    families.add(self.catalog.register.put_path(path))
            elif path not in folders and os.path.isdir(path):
                return True
        if families:
            self.catalog.resolve(families)
        return False

    def _tick(self) -> None:
        """Look again at what waits for something that no notification tells of."""
        catalog = self.catalog
        if catalog.unfinished:
            catalog.resolve(set(catalog.unfinished))
        for stream in list(catalog.partial.values()):
            if not catalog.register.can_grow(stream):
                self._changed(stream)
        catalog.register.look_at_removed()
        for stream in catalog.register.unplaced(self._now()):
            self._changed(stream)
        self._refresh_stats()

    def forget(self, stream: Stream) -> None:
        """Know nothing of a stream any more whose file was removed for good."""
        self.catalog.register.forget(stream)
        self.reader.drop(stream.id)

    def settled_everywhere(self, stream: Stream) -> None:
        """Let go of a stream without a path that every lane is past."""
        self.catalog.register.release(stream)
        self.reader.forget(stream.id)

    def _refresh_stats(self) -> None:
        catalog = self.catalog
        self.stats.files = sum(s.path is not None for s in catalog.streams.values())
        self.stats.streams = len(catalog.streams)
        self.stats.open_files = len(catalog.handles)
        self.stats.last_error = next(iter(catalog.errors.values()), None)


class _StateGuard:
    """Turns a failing state.db into a state error of the agent; what could not be stored is tried again later."""

    def __init__(self, agent: AgentStats) -> None:
        self._agent = agent

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        from sqlite3 import Error

        if not isinstance(error, (Error, StateError)):
            return False
        if not self._agent.state_error:
            log.error("state_write_failed", error=str(error))
        self._agent.state_errors += 1
        self._agent.state_error = f"state.db: {error}"
        return True
