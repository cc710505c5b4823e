"""JSON lines: validated, and passed through as the bytes they are.

The whole chunk is validated by one call; a chunk that is not plainly one object a line is taken line by line.
"""

from __future__ import annotations

from io import BytesIO
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from agent.bodies import wrapped
from agent.parsers.base import Common, Parsed, broken, template

if TYPE_CHECKING:
    from collections.abc import Sequence

_first, _second, _third, _last_but_one = itemgetter(0), itemgetter(1), itemgetter(2), itemgetter(-2)
_inside = itemgetter(slice(1, -2))
_TRIMMED = 3
"""Bytes of a line that ``_inside`` leaves away: its braces and its line feed."""
_FEW = 4
"""Values that are looked for one after the other."""


class JsonLines:
    """One JSON object a line. Common members are added where the line lacks them; its own always win, but for log_type
    where the source's subsystem is configured.
    """

    def __init__(self, common: Common) -> None:
        """Prepare a decoder that looks at nothing but the members that may have to be added."""
        self._common = common
        self._defaults: dict[str, Any] = {"log_type": common.log_type, **common.members}
        names = list(self._defaults)
        probe = msgspec.defstruct(
            "Probe",
            [(f"member_{i}", Any, UNSET) for i in range(len(names))],
            rename={f"member_{i}": name for i, name in enumerate(names)},
            gc=False,
        )
        self._names = {f"member_{i}": name for i, name in enumerate(names)}
        self._columns = [attrgetter(name) for name in list(self._names)[1:]]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(probe)

    def parse(self, data: bytes, *, stream: str, start: int, create_time: str) -> Parsed:
        """Return one event per line that is not blank; a line that is no object keeps its text and the error."""
        return self._whole(data, stream, start, create_time) or self._line_by_line(data, stream, start, create_time)

    def _whole(self, data: bytes, stream: str, start: int, create_time: str) -> Parsed | None:
        """Parse a chunk in which every line is plainly an object with members; None where that is not certain.

        Every line feed stands between ``}`` and ``{``. A JSON string holds no raw line feed and between ``}`` and ``{``
        inside a value there must be a comma, so in valid JSON each of them separates two values; with as many values
        as lines, each line is exactly one.
        """
        lines = BytesIO(data).readlines()  # finds line feeds several times faster than bytes.split
        if not _plain(lines):
            return None
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                return None
        try:
            found = self._decoder.decode_lines(data)
        except (msgspec.MsgspecError, RecursionError):
            return None
        if len(found) != len(lines):
            return None
        pieces = list(map(_inside, lines))
        offsets = list(accumulate(map(len, lines), initial=start))
        offsets.pop()
        first = found[0]
        if found.count(first) == len(found):
            members, log_type, override = self._missing(first)
            if override:
                return None
            shape = template(stream=stream, create_time=create_time, members=members)
            bodies = wrapped(shape, offsets, pieces, end=start + len(data), trimmed=_TRIMMED)
            return Parsed(offsets=offsets, bodies=bodies, log_types=log_type)
        return self._alike(found, pieces, offsets, stream, create_time) or self._mixed(
            found, pieces, offsets, stream, create_time
        )

    def _alike(
        self,
        found: Sequence[Any],
        pieces: Sequence[bytes],
        offsets: Sequence[int],
        stream: str,
        create_time: str,
    ) -> Parsed | None:
        """Parse lines that all name a log_type and lack the same members; None when these do not."""
        kinds = list(map(_KIND, found))
        if self._common.subsystem is not None:
            return None
        try:
            examples = dict(zip(kinds, found, strict=True))
        except TypeError:
            return None  # a log_type that is an object or an array
        if set(map(type, examples)) != {str} or not self._lack_the_same(found, list(examples.values())):
            return None
        members, _log_type, _override = self._missing(found[0])
        shape = template(stream=stream, create_time=create_time, members=members)
        end = offsets[-1] + len(pieces[-1]) + _TRIMMED
        bodies = wrapped(shape, offsets, pieces, end=end, trimmed=_TRIMMED)
        return Parsed(offsets=offsets, bodies=bodies, log_types=kinds)

    def _lack_the_same(self, found: Sequence[Any], examples: Sequence[Any]) -> bool:
        """Tell whether all of ``found`` lack the same members; ``examples`` are one of each log_type."""
        if len(examples) <= _FEW and sum(map(found.count, examples)) == len(found):
            found = examples  # each line is like one of them, whole comparisons cost less than one for each member
        return all(list(map(column, found)).count(UNSET) in {0, len(found)} for column in self._columns)

    def _mixed(
        self,
        found: Sequence[Any],
        pieces: Sequence[bytes],
        offsets: Sequence[int],
        stream: str,
        create_time: str,
    ) -> Parsed | None:
        """Wrap lines of which each may lack other members; None when one of them has to be rebuilt."""
        shapes: dict[tuple[str, ...], bytes] = {}
        bodies, log_types = [], []
        for item, piece, offset in zip(found, pieces, offsets, strict=True):
            members, log_type, override = self._missing(item)
            if override:
                return None
            key = tuple(members)
            shape = shapes.get(key)
            if shape is None:
                shape = template(stream=stream, create_time=create_time, members=members)
                shapes[key] = shape
            bodies.append(shape % (offset, piece))
            log_types.append(log_type)
        return Parsed(offsets=offsets, bodies=bodies, log_types=log_types)

    def _missing(self, item: object) -> tuple[dict[str, Any], str, bool]:
        """Return what the line lacks, its log_type, and whether that contradicts the configuration."""
        missing = {name: self._defaults[name] for slot, name in self._names.items() if getattr(item, slot) is UNSET}
        own = getattr(item, "member_0")  # noqa: B009 # the probe's class is made at run time
        if own is UNSET:
            return missing, self._common.log_type, False
        if self._common.subsystem is not None and own != self._common.subsystem:
            return missing, self._common.subsystem, True
        return missing, own if isinstance(own, str) else "logs", False

    def _line_by_line(self, data: bytes, stream: str, start: int, create_time: str) -> Parsed:
        shape = template(stream=stream, create_time=create_time, members={})
        offsets, bodies, log_types, errors, at = [], [], [], 0, start
        for line in data.split(b"\n")[:-1]:
            text = line.strip(b" \t\r\n\0")
            if at == 0:
                text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
            if text:
                inside, log_type, bad = self._one(text)
                offsets.append(at)
                bodies.append(shape % (at, inside))
                log_types.append(log_type)
                errors += bad
            at += len(line) + 1
        return Parsed(offsets=offsets, bodies=bodies, log_types=log_types, errors=errors)

    def _one(self, text: bytes) -> tuple[bytes, str, bool]:
        try:
            clean = text
            try:
                if not text.isascii():
                    text.decode()
            except UnicodeDecodeError:
                clean = text.decode("utf-8", "replace").encode()
            if not clean.startswith(b"{"):
                raise msgspec.DecodeError("not a JSON object")
            members, log_type, override = self._missing(self._decoder.decode(clean))
            if override:
                rebuilt = msgspec.json.decode(clean) | {"log_type": log_type}
                return msgspec.json.encode({**self._common.members, **rebuilt})[1:-1], log_type, False
        except (msgspec.MsgspecError, RecursionError) as error:
            return broken(text, common=self._common, error=_reason(error)), self._common.log_type, True
        own = clean[1:-1].strip()
        added = msgspec.json.encode(members)[1:-1]
        return b",".join(part for part in (added, own) if part), log_type, False


_KIND = attrgetter("member_0")


def _plain(lines: Sequence[bytes]) -> bool:
    """Tell whether each line begins like an object with members and ends like one."""
    try:
        if set(map(_first, lines)) != {0x7B} or set(map(_last_but_one, lines)) != {0x7D}:
            return False
        seconds = set(
            map(_second, lines)
        )  # single bytes are numbers that exist already, slices would be made and hashed
        return seconds == {0x22} or (seconds == {0x20} and set(map(_third, lines)) == {0x22})
    except IndexError:
        return False


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
