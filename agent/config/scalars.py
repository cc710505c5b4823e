"""One scalar of the YAML file → a value of the type the model asks for, or what is allowed instead. Pure.

The text is judged as it was written, not as YAML 1.1 reads it: there ``1:30`` is 90 and ``010`` is 8.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec.inspect as mi

from agent.config import units

if TYPE_CHECKING:
    from collections.abc import Callable

Number: TypeAlias = "mi.IntType | mi.FloatType"

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT = re.compile(r"[-+]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """The text of a scalar and what YAML takes it for: ``str int float bool null timestamp …``."""

    text: str
    kind: str


class NotAllowedError(Exception):
    """The scalar is no value of the type; ``str()`` says what is."""


def to_text(scalar: Scalar, wanted: mi.StrType) -> str:
    """Return the text, which must be meant as text: ``name: no`` is a mistake, ``name: "no"`` is not."""
    if scalar.kind != "str":
        raise NotAllowedError("text (put it in quotes)")
    text = scalar.text
    if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        # YAML's escapes can say them; no path, name or output can.
        raise NotAllowedError("text without NUL and half surrogate pairs")
    if wanted.min_length is not None and len(text) < wanted.min_length:
        raise NotAllowedError(f"text of at least {wanted.min_length} character(s)")
    if wanted.max_length is not None and len(text) > wanted.max_length:
        raise NotAllowedError(f"text of at most {wanted.max_length} characters")
    if wanted.pattern is not None and not re.search(wanted.pattern, text):
        raise NotAllowedError(f"text that matches {wanted.pattern}")
    return text


def to_bool(scalar: Scalar) -> bool:
    """Return the truth value."""
    value = _BOOLEANS.get(scalar.text.lower())
    if value is None:
        raise NotAllowedError("true or false")
    return value


def to_choice(scalar: Scalar, values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a Literal may hold any constant
    """Return the one of ``values`` that is written there."""
    for value in values:
        if str(value) == scalar.text:
            return value
    raise NotAllowedError(f"one of {', '.join(map(str, values))}")


def to_number(scalar: Scalar, wanted: Number, unit: str | None) -> int | float:
    """Return the number; with ``unit`` ("bytes" or "seconds") a size or duration as ``units`` reads them."""
    number: int | float
    if unit is not None:
        read: Callable[[str], int | float] = units.parse_bytes if unit == "bytes" else units.parse_seconds
        try:
            number = read(scalar.text)
        except ValueError as error:
            raise NotAllowedError(str(error)) from None
    elif isinstance(wanted, mi.IntType):
        if not _INTEGER.fullmatch(scalar.text):
            raise NotAllowedError(f"a whole number{_range(wanted, None)}")
        number = int(scalar.text)
    else:
        if not _FLOAT.fullmatch(scalar.text):
            raise NotAllowedError(f"a number{_range(wanted, None)}")
        number = float(scalar.text)
    if not _inside(number, wanted):
        noun = {"bytes": "a size", "seconds": "a duration"}.get(unit or "", "a number")
        raise NotAllowedError(f"{noun}{_range(wanted, unit)}")
    return number


def to_anything(scalar: Scalar) -> str | int | float | bool | None:
    """Return what JSON can say of the scalar; what only YAML knows (dates, 1:30) stays text."""
    text = scalar.text
    if scalar.kind == "null":
        return None
    if scalar.kind == "bool":
        return _BOOLEANS[text.lower()]
    if scalar.kind == "int" and _INTEGER.fullmatch(text):
        number = int(text)
        if not _LEAST_INTEGER <= number <= _MOST_INTEGER:
            raise NotAllowedError("a number of at most 64 bits, or text in quotes")
        return number
    if scalar.kind == "float" and _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise NotAllowedError("a finite number, or text in quotes")
        return value
    return text


def _inside(number: float, wanted: Number) -> bool:
    return (
        math.isfinite(number)
        and (wanted.ge is None or number >= wanted.ge)
        and (wanted.gt is None or number > wanted.gt)
        and (wanted.le is None or number <= wanted.le)
        and (wanted.lt is None or number < wanted.lt)
    )


def _range(wanted: Number, unit: str | None) -> str:
    def show(limit: float) -> str:
        if unit == "bytes":
            return units.format_bytes(int(limit))
        return units.format_seconds(limit) if unit == "seconds" else f"{limit:g}"

    parts = [
        f"{word} {show(limit)}"
        for word, limit in (
            ("at least", wanted.ge),
            ("more than", wanted.gt),
            ("at most", wanted.le),
            ("less than", wanted.lt),
        )
        if limit is not None
    ]
    return f" of {' and '.join(parts)}" if parts else ""
