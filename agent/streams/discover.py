"""Globs with excludes → the files of a source, folder by folder."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from agent.streams.family import family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_MAGIC = re.compile(r"[*?\[]")
_SPECIAL, _ESCAPED = re.compile(r"([\[\\&~|^])"), r"\\\1"
_PIECES = re.compile(r"(\*+|\?|\[[^\]]+\])")


class Patterns:
    """Which paths belong to a source: those a glob matches, and rotated names of such paths."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str] = (), *, never: Iterable[str] = ()) -> None:
        """Compile the globs. ``never`` names files (with their rotated names) and folders that are the agent's own."""
        self.include = tuple(map(os.path.normpath, include))
        self._included = _any_of(self.include)
        self._named = _any_of(tuple(glob for glob in self.include if os.path.basename(glob).strip("*?")))
        self._excluded = _any_of(exclude) if exclude else None
        self._never = tuple(map(os.path.normpath, never))

    def matches(self, path: str) -> bool:
        """Tell whether the file at ``path`` belongs to the source."""
        live = family(path)
        if not (self._included(path) or self._included(live)):
            return False
        if self._excluded and (self._excluded(path) or self._excluded(live)):
            return False
        return not any(live == own or path == own or path.startswith(own + os.sep) for own in self._never)

    def folders(self) -> Iterator[str]:
        """Yield every existing folder in which a matching file may lie."""
        seen: set[str] = set()
        for pattern in self.include:
            parts = pattern.split(os.sep)
            if parts[-1] != "**":
                parts.pop()
            for folder in _expand("", parts):
                if folder not in seen:
                    seen.add(folder)
                    yield folder

    def files(self, folder: str) -> list[str]:
        """Return the matching paths in ``folder``; raises ``OSError`` when it cannot be listed."""
        with os.scandir(folder) as entries:
            # A link is not followed here: one that leads nowhere or in a circle must not hide the others.
            # Of folders, only those whose very name was asked for, to say that they cannot be read as files.
            paths = [e.path for e in entries if not e.is_dir(follow_symlinks=False) or self._named(e.path)]
        return [path for path in paths if self.matches(path)]


def roots(include: Sequence[str]) -> list[str]:
    """Return the deepest folder of each glob that is named without a wildcard, to watch for new folders."""
    found = []
    for pattern in include:
        folder = os.path.dirname(_MAGIC.split(os.path.normpath(pattern), maxsplit=1)[0])
        found.append(folder or os.sep)
    return sorted(set(found))


def _expand(prefix: str, parts: Sequence[str]) -> Iterator[str]:
    if not parts:
        if os.path.isdir(prefix or os.sep):
            yield prefix or os.sep
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _expand(prefix, rest)
        for folder in _subfolders(prefix, lambda _name: True):
            yield from _expand(folder, parts)
    elif _MAGIC.search(part):
        fits = re.compile(_part_regex(part)).fullmatch
        for folder in _subfolders(prefix, lambda name: bool(fits(name))):
            yield from _expand(folder, rest)
    else:
        yield from _expand(f"{prefix}{os.sep}{part}" if part else prefix, rest)


def _subfolders(folder: str, wanted: Callable[[str], bool]) -> list[str]:
    try:
        with os.scandir(folder or os.sep) as entries:
            # Links to folders are not followed below a wildcard: they may lead round in a circle.
            return sorted(e.path for e in entries if e.is_dir(follow_symlinks=False) and wanted(e.name))
    except OSError:
        return []


def _any_of(globs: Sequence[str]) -> Callable[[str], object]:
    return re.compile("|".join(f"(?:{_regex(glob)})" for glob in globs), re.DOTALL).fullmatch


def _regex(pattern: str) -> str:
    """Translate a glob: ``*`` and ``?`` stay within a folder, ``**`` crosses folders, no slash means any folder."""
    if os.sep not in pattern:
        pattern = f"{os.sep}**{os.sep}{pattern}"
    return "/".join(map(_part_regex, pattern.split(os.sep))).replace("\0/", "(?:[^/]+/)*").replace("\0", ".*")


def _part_regex(part: str) -> str:
    if part == "**":
        return "\0"
    return "".join(map(_token_regex, _PIECES.split(part)))


def _token_regex(piece: str) -> str:
    if piece == "?":
        return "[^/]"
    if piece.startswith("*"):
        return "[^/]*"
    if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
        negated, inner = ("^", piece[2:-1]) if piece[1] == "!" else ("", piece[1:-1])
        found = f"[{negated}{_SPECIAL.sub(_ESCAPED, inner)}]"
        try:
            re.compile(found)
        except re.error:  # a range that ends before it begins stands for itself
            return re.escape(piece)
        return found
    return re.escape(piece)
