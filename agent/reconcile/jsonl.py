"""A ``file`` destination as receiver: its live file, its rotated members, compressed or not (WIRE 5.1)."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.destinations.rotation import backups
from agent.errors import AgentError
from agent.reconcile.names import split
from agent.reconcile.receiver import Others
from agent.streams.content import open_content
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agent.streams.content import Content

_ID = re.compile(rb'\{"unique_id":"([0-9a-f]{32})\.(0|[1-9a-f][0-9a-f]{0,15})"').match
_PIECE_BYTES = 4 << 20


class _Inside(msgspec.Struct, frozen=True, gc=False):
    source_id: object = None


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    unique_id: str
    event: _Inside = _Inside()


_ENVELOPES = msgspec.json.Decoder(_Envelope)


class Jsonl:
    """All ids of a file destination, in eight bytes each."""

    def __init__(self, path: str, *, max_backups: int | None = None) -> None:
        """Read everything there is now. Raises ``AgentError`` when a member cannot be read.

        ``max_backups`` is how many rotated members its destination keeps.
        """
        self.damaged = 0
        self.notes: list[str] = []
        self._streams: defaultdict[bytes, array[int]] = defaultdict(lambda: array("Q"))
        self._owners: dict[bytes, str] = {}
        """Stream → agent."""
        self._named: Counter[str] = Counter()
        """Ids that programs gave, each with its copies."""
        self._named_owners: dict[str, str] = {}
        self._known: defaultdict[bytes, set[int]] = defaultdict(set)
        members = 0
        for member, content in _members(Path(path)):
            members += 1
            try:
                for lines in _lines(content):
                    self._take(lines)
            except DAMAGED as error:
                raise AgentError(f"{member}: cannot be read: {error}; mend or remove it") from error
            finally:
                content.close()
        self._sort()
        if max_backups is not None and members > max_backups:
            self.notes.append(
                f"the destination keeps {max_backups} rotated files (max_backups): older ones were deleted"
            )

    def _take(self, lines: list[bytes]) -> None:
        streams = self._streams
        for line in lines:
            found = _ID(line)
            if found is None:
                self._take_other(line)
                continue
            stream = found[1]
            if stream not in streams:
                self._owners[stream] = _owner(line)
            streams[stream].append(int(found[2], 16))

    def _take_other(self, line: bytes) -> None:
        """Take a line that is not as an agent of ours writes it, or whose id is a program's own."""
        if not line.strip():
            return
        try:
            envelope = _ENVELOPES.decode(line)
        except (msgspec.MsgspecError, RecursionError):
            self.damaged += 1
            return
        name, owner = envelope.unique_id, str(envelope.event.source_id or "")
        if made := split(name):
            stream = made[0].encode()
            self._owners.setdefault(stream, owner)
            self._streams[stream].append(made[1])
        else:
            self._named[name] += 1
            self._named_owners.setdefault(name, owner)

    def _sort(self) -> None:
        for stream, offsets in self._streams.items():
            self._streams[stream] = array("Q", sorted(offsets))

    def offsets(self, stream: str) -> array[int]:
        """Return the offsets of the events of ``stream``, ascending, each as often as it is there."""
        return self._streams.get(stream.encode(), array("Q"))

    def copies(self, unique_id: str) -> int:
        """Return how many events have an id that a program has given; asking for it marks them as known."""
        if made := split(unique_id):
            stream = made[0].encode()
            self._known[stream].add(made[1])
            return self.offsets(made[0]).count(made[1]) if stream in self._streams else 0
        return self._named.pop(unique_id, 0)

    def others(self, streams: Collection[str], *, agent_id: str) -> Others:
        """Count the events that are of none of ``streams`` and were not marked as known."""
        asked = {stream.encode() for stream in streams}
        counts: Counter[bool] = Counter()
        for stream, offsets in self._streams.items():
            if stream not in asked:
                known = self._known.get(stream, ())
                unknown = len(offsets) if not known else sum(offset not in known for offset in offsets)
                counts[self._owners[stream] == agent_id] += unknown
        for name, copies in self._named.items():
            counts[self._named_owners[name] == agent_id] += copies
        return Others(own=counts[True], foreign=counts[False])


def _owner(line: bytes) -> str:
    try:
        return str(_ENVELOPES.decode(line).event.source_id or "")
    except (msgspec.MsgspecError, RecursionError):
        return ""


def _members(live: Path) -> Iterator[tuple[Path, Content]]:
    """Open the files one after the other, the live one last; each line is in one of them, also beside its writer."""
    try:
        newest, old = _standing(live)
    except OSError as error:
        raise AgentError(f"{error.filename or live}: {error.strerror}; name the file of a file destination") from error
    if newest is None and not old:
        raise AgentError(f"{live}: no such file, nor a rotated one beside it; nothing has arrived there")
    for path in old:
        # Compressed or pruned since it was listed.
        for name in (path, path.with_name(f"{path.name}.gz")):
            try:
                content = open_content(str(name))
            except FileNotFoundError:
                continue
            yield name, content
            break
    if newest is not None:
        yield live, newest


def _standing(live: Path) -> tuple[Content | None, list[Path]]:
    """Return the open live file and the rotated ones, as they were at one moment. Raises ``OSError``."""
    while True:
        newest = open_content(str(live)) if live.exists() else None
        found = {p.name.removesuffix(".gz"): p for p in sorted(backups(live), key=lambda p: p.suffix == ".gz")}
        if newest is None or (live.exists() and newest.stat().st_ino == live.stat().st_ino):
            return newest, [found[name] for name in sorted(found)]
        newest.close()  # rotated in between: look again


def _lines(content: Content) -> Iterator[list[bytes]]:
    """Yield the whole lines of a file, some megabytes at a time; a torn last one was never acknowledged."""
    at, rest = 0, b""
    while piece := content.read(at, _PIECE_BYTES):
        at += len(piece)
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield lines
