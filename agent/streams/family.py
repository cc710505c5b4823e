"""Names of rotated files: which live path a name belongs to. Pure."""

from __future__ import annotations

import posixpath
import re

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of members that can be read through."""

_DATE = (
    r"\d{4}-\d{2}-\d{2}(?:[-_T.]\d{2}(?:[-_:.]?\d{2}){0,2})?"
    r"|20\d{6}(?:[-_T]?\d{2,10}(?:\.\d{3})?)?"
    r"|(?:[0-3]\d-?){2}20\d{2}"
)
_SUFFIX = re.compile(rf"(?:[-._](?:{_DATE}|1\d{{9}})|\.\d{{1,5}}|~|\.(?:old|bak|prev))$")
_DATED = re.compile(rf"^(?P<base>.+?)[-._](?:{_DATE})(?:[-._]\d{{1,5}})?(?P<ext>\.[A-Za-z]\w*)$")
_NUMBERED = re.compile(r"^(?P<base>.+?)[-._]\d{1,5}(?P<ext>\.[A-Za-z]\w*)$")


def is_compressed(path: str) -> bool:
    """Tell whether the name says that the file is compressed."""
    return path.endswith(COMPRESSED)


def family(path: str) -> str:
    """Return the live path that ``path`` is a rotated name of, or ``path`` itself.

    ``a.log.1``, ``a.log-20260101.gz``, ``a-20260101.log`` and ``a.log.2026-01-01`` all belong to ``a.log``.
    """
    folder, name = posixpath.split(path)
    while name.endswith(COMPRESSED):
        name = name[: name.rindex(".")] or name[1:]
    while (found := _SUFFIX.search(name)) and found.start() > 0:
        name = name[: found.start()]
    if found := _DATED.match(name):
        name = found["base"] + found["ext"]
    return posixpath.join(folder, name)


def loose_family(path: str) -> str:
    """Return the live path when ``app-1.log`` or ``app.1.log`` is read as a rotated ``app.log``.

    Such names are ambiguous: they may as well be live files of several workers. They are looked up under this name
    only to recognise bytes that were seen before.
    """
    strict = family(path)
    folder, name = posixpath.split(strict)
    found = _NUMBERED.match(name)
    return posixpath.join(folder, found["base"] + found["ext"]) if found else strict


def families(path: str) -> list[str]:
    """Return every live path whose bytes the file may hold: its family, read both ways, here and one folder up.

    A rotation moves files into a folder below (``olddir old``) and may compress them there at once.
    """
    folder, name = posixpath.split(path)
    above = posixpath.join(posixpath.dirname(folder), name)
    return list(dict.fromkeys(read(p) for p in (path, above) for read in (family, loose_family)))
