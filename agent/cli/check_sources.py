"""What ``check`` says of each source: the files that match, the address, and whether it can be had now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.config.model import Config, FileSourceConfig, SourceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One source: ``text`` for people, ``members`` for programs; ``fails`` when it could not work now."""

    text: str
    members: dict[str, Any]
    fails: bool = False


def look_at(config: Config, *, connect: bool) -> list[Found]:
    """Look at every source; with ``connect`` also try the addresses. Changes nothing."""
    return [_look(source, connect=connect) for source in config.sources]


def _look(source: SourceConfig, *, connect: bool) -> Found:
    from agent.config.model import FileSourceConfig, HttpSourceConfig

    if isinstance(source, FileSourceConfig):
        count = _matching_files(source)
        return Found(
            text=f"source {source.name}: {count} file(s) match now",
            members={"name": source.name, "type": "file", "files": count},
        )
    if isinstance(source, HttpSourceConfig):
        return _listener(source.name, source.listen, connect=connect)
    return Found(text=f"source {source.name}: reads standard input", members={"name": source.name, "type": "stdin"})


def _listener(name: str, listen: str, *, connect: bool) -> Found:
    members: dict[str, Any] = {"name": name, "type": "http", "listen": listen}
    text = f"source {name}: listens on {listen}"
    if not connect:
        return Found(text=text, members=members)
    from agent.serve import AddressInUse, try_listening

    try:
        try_listening(listen)
    except AddressInUse:
        # A running agent has it, most likely: no reason to fail.
        members["state"] = "in use"
        return Found(text=f"{text}, in use now: by a running agent, or by another program", members=members)
    except OSError as error:
        members |= {"state": "not possible", "error": error.strerror or str(error)}
        return Found(text=f"{text}, NOT possible: {members['error']}", members=members, fails=True)
    members["state"] = "free"
    return Found(text=f"{text}, which is free", members=members)


def _matching_files(source: FileSourceConfig) -> int:
    from agent.streams.discover import Patterns

    patterns, found = Patterns(source.include, source.exclude), set()
    for folder in patterns.folders():
        try:
            found.update(patterns.files(folder))
        except OSError:
            # A folder that may not be listed matches nothing; the running agent reports it as an error.
            continue
    return len(found)
