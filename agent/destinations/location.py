"""The location of a ``file`` destination, in all the forms of WIRE 5.1. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

MIB = 1024 * 1024
DAY = 86400.0

_URL = re.compile(r"file:(?://(?P<host>[^/?]*))?(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"/?([A-Za-z]):[\\/]")
_DRIVE_URL = re.compile(r"/([A-Za-z]):?/")
_SIZES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": MIB, "gib": 1024 * MIB}
_AGES = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PARAMETERS = frozenset({"max_size", "max_age", "max_backups", "compress"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocation:
    """Where the live file is and when it is rotated."""

    path: str
    """Absolute, or relative to the working directory."""
    max_size_bytes: int = 100 * MIB
    max_age_seconds: float = 30 * DAY
    """Age of its first line at which the live file is rotated."""
    max_backups: int = 10
    """Rotated files that are kept; older ones are deleted."""
    compress: bool = False
    """Whether rotated files are gzipped."""


def parse(location: str, *, windows: bool = os.name == "nt") -> FileLocation:
    """Return what ``location`` means. Raises ``ValueError`` saying what is wrong with it.

    A URL's host ``.`` or ``..`` makes the path relative; parameters other than those of WIRE 5.1 are ignored.
    """
    url = _URL.fullmatch(location)
    if url is None:
        path, query = _split_plain(location, windows=windows)
    else:
        path, query = _url_path(url["host"] or "", unquote(url["path"]), windows=windows), url["query"] or ""
    if not windows and _DRIVE.match(path):
        raise ValueError("a Windows path on a host that is none")
    if not path or path.endswith(("/", "/.", "/..")) or path in {".", ".."}:
        raise ValueError("names no file")
    if "\0" in path:
        raise ValueError("a NUL in the path")
    return _with_parameters(path, query)


def _split_plain(location: str, *, windows: bool) -> tuple[str, str]:
    """Split a plain path from its parameters; a ``?`` before nothing known is part of the name."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", location)
    if scheme and not _DRIVE.match(location) and (location[scheme.end() :].startswith("//") or windows):
        raise ValueError(f"scheme {scheme[1]!r}")
    path, mark, query = location.rpartition("?")
    names = {part.partition("=")[0] for part in query.split("&")}
    return (path, query) if mark and names <= _PARAMETERS else (location, "")


def _url_path(host: str, path: str, *, windows: bool) -> str:
    """Return the path of a ``file`` URL."""
    if host in {".", ".."}:
        return host + path
    if host.lower() not in {"", "localhost"}:
        raise ValueError(f"host {host!r}")
    if not path.startswith("/"):
        raise ValueError("a path that is neither absolute nor starts with //./")
    if windows and (drive := _DRIVE_URL.match(path)):
        return f"{drive[1]}:/{path[drive.end() :]}"
    return path


def _with_parameters(path: str, query: str) -> FileLocation:
    """Read the rotation parameters; the last one of a name counts."""
    given = {k: v.strip() for k, v in parse_qsl(query, keep_blank_values=True) if k in _PARAMETERS}
    default = FileLocation(path=path)
    return FileLocation(
        path=path,
        max_size_bytes=int(_number(given, "max_size", _SIZES, default.max_size_bytes)),
        max_age_seconds=_number(given, "max_age", _AGES, default.max_age_seconds),
        max_backups=int(_number(given, "max_backups", {"": 1}, default.max_backups)),
        compress=_switch(given.get("compress"), default=default.compress),
    )


def _number(given: dict[str, str], name: str, units: dict[str, int] | dict[str, float], default: float) -> float:
    """Return a parameter that is a number with a unit and not zero."""
    if name not in given:
        return default
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", given[name].lower(), re.ASCII)
    value = float(match[1]) * units[match[2]] if match and match[2] in units else 0
    if value < 1 and not (name == "max_age" and value > 0):
        unit = ", ".join(filter(None, units))
        raise ValueError(f"{name}={given[name]!r}, not a positive number" + (f" with a unit of {unit}" if unit else ""))
    return value


def _switch(text: str | None, *, default: bool) -> bool:
    """Return ``compress``; bare ``?compress`` switches it on."""
    if text is None:
        return default
    if text == "":
        return True
    if text.lower() not in _SWITCH:
        raise ValueError(f"compress={text!r}, neither true nor false")
    return _SWITCH[text.lower()]
