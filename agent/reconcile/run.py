"""All of it in order: the state, then the receiver, then the files.

So what is under way meanwhile is "not sent yet", neither missing nor foreign.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import agent
from agent.config.model import FileSourceConfig
from agent.events import Block, own_id, unique_id
from agent.reconcile.judge import Judge, Named
from agent.reconcile.report import Lost, Report, StreamReport
from agent.reconcile.snapshot import snapshot
from agent.sources.file import FileSource
from agent.sources.own import own_files
from agent.state.folders import folder_name
from agent.stats import AgentStats, SourceStats
from agent.streams.hold import Held, Holds

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.model import Config, DestinationConfig
    from agent.reconcile.receiver import Receiver
    from agent.reconcile.snapshot import Snapshot
    from agent.streams.stream import Stream


async def reconcile(
    config: Config, *, against: str, destination: DestinationConfig | None, open_receiver: Callable[[], Receiver]
) -> Report:
    """Compare every line of the file sources of ``config`` with what is at a receiver.

    ``destination`` is the one whose filters, cursors and rejects count; None: none do. Raises ``AgentError`` when the
    state or the receiver cannot be read.
    """
    with snapshot(config, destination) as state:
        receiver = open_receiver()
        report = Report(agent_id=state.agent_id, against=against, destination=destination.name if destination else None)
        for source in config.sources:
            if isinstance(source, FileSourceConfig):
                await _Comparison(config, source, state=state, receiver=receiver, report=report).run()
        others = receiver.others({s.stream for s in report.streams}, agent_id=state.agent_id)
        report.elsewhere += others.own
        report.foreign += others.foreign
        report.damaged = receiver.damaged
        report.notes += receiver.notes
    return report


class _Comparison:
    """One source's streams against the receiver."""

    def __init__(
        self, config: Config, source: FileSourceConfig, *, state: Snapshot, receiver: Receiver, report: Report
    ) -> None:
        self._state = state
        self._receiver = receiver
        self._report = report
        self._named = source.format == "envelope"
        self._skips = source.start_at == "end"
        folder = Path(config.agent.state_dir) / "holds" / folder_name(source.name)
        self._holds = Holds(folder, max_bytes=config.hold.max_bytes, tidy=False)
        self._source = FileSource(
            source,
            agent_id=state.agent_id,
            members={},
            store=state.store,
            stats=SourceStats(source=source.name),
            never=list(own_files(config)),
            one_shot=True,
            holds=self._holds,
        )
        for lane in state.lanes:
            for cursor in state.store.cursors(lane):
                self._source.catalog.register.recall_cursor(cursor)

    async def run(self) -> None:
        """Look at all files as the agent does, then judge each stream."""
        source, catalog = self._source, self._source.catalog
        stats = AgentStats(agent_id=self._state.agent_id, version=agent.__version__, started_at=time.time())
        looked = anyio.Event()
        source.subscribe(lambda _source, stream: None if stream else looked.set())
        async with anyio.create_task_group() as group:
            await group.start(source.run, stats)
            await looked.wait()
            for stream in sorted(catalog.streams.values(), key=lambda s: (s.family, s.order)):
                self._judge(stream)
                await anyio.lowlevel.checkpoint()
            unfinished = {f"{path}: still being written or moved, or cut off" for path in self._undecided()}
            self._report.problems += sorted({*catalog.errors.values(), *unfinished})
            group.cancel_scope.cancel()

    def _undecided(self) -> set[str]:
        """Return the files of unfinished families that no stream stands for; a family where there is no such file."""
        catalog = self._source.catalog
        placed = {stream.path for stream in catalog.streams.values()}
        found = {name: catalog.register.paths.get(name, set()) - placed for name in catalog.unfinished}
        return {path for name, paths in found.items() for path in paths or {name}}

    def _judge(self, stream: Stream) -> None:
        cursors = self._state.cursors
        cursor = None if cursors is None else cursors.get(stream.id, 0)
        if stream.path is None and self._holds.get(stream.id) is None:
            if cursor is not None and cursor < stream.size:
                self._report.lost.append(
                    Lost(source=stream.source, stream=stream.id, path=stream.last_path, first=cursor, end=stream.size)
                )
            return
        outcome = StreamReport(
            source=stream.source, stream=stream.id, path=stream.path or stream.last_path, cursor=cursor
        )
        self._report.streams.append(outcome)
        passes = self._state.passes
        judge = Judge(
            outcome,
            arrived=self._receiver.offsets(stream.id),
            sent=(lambda kind: passes.decide(kind).sent) if passes else (lambda _kind: True),
            rejected=self._state.rejected.offsets.get(stream.id, ()),
            skips_start=self._skips,
        )
        content = self._source.catalog.register.open(stream)
        position = content.base if isinstance(content, Held) else 0
        self._report.elsewhere += judge.begin(position)
        while isinstance(found := self._source.reader.read(stream, position), Block):
            judge.take(found, whole=_is_whole(stream, found), named=self._names(found) if self._named else None)
            position = found.end
        if problem := _unread(stream, position):
            self._report.problems.append(f"{outcome.path}: {problem}")
        self._report.elsewhere += judge.finish(certain=not problem)

    def _names(self, block: Block) -> dict[int, Named]:
        """Return what became of the events that have ids of their own, by offset."""
        refused = self._state.rejected.names
        found = {}
        for offset, body in zip(block.offsets, block.bodies, strict=True):
            made = unique_id(block.stream, offset)
            if (name := own_id(body, made)) != made:
                found[offset] = Named(copies=self._receiver.copies(name), rejected=name in refused)
        return found


def _is_whole(stream: Stream, block: Block) -> bool:
    """Tell whether the last line of ``block`` has its end; the one of a live file may still be written."""
    if stream.content is None or block.end < stream.size:
        return True
    return stream.content.read(block.end - 1, 1) == b"\n"


def _unread(stream: Stream, position: int) -> str | None:
    """Say why the lines of ``stream`` were not all read; None when they were."""
    if stream.content is None:
        return "cannot be opened, or was rotated while it was read; look again"
    length = stream.content.length()
    if length is None:
        return f"damaged after byte {position}"
    return None if position >= length else f"only read to byte {position}"
