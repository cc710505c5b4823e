"""Query parameters: what an operation takes, declared once for its parsing and for its documentation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class ParameterError(ValueError):
    """A parameter is wrong; the message says which, what was found, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One query parameter."""

    name: str
    about: str
    kind: str = "string"
    """``string``, ``integer`` or ``boolean``."""
    repeated: bool = False
    allowed: tuple[str, ...] = ()
    low: int = 0
    high: int = (1 << 63) - 1
    longest: int = 1024
    default: Any = None

    def schema(self) -> dict[str, Any]:
        """Return its JSON schema."""
        one: dict[str, Any] = {"type": self.kind}
        if self.allowed:
            one["enum"] = list(self.allowed)
        elif self.kind == "string":
            one["maxLength"] = self.longest
        elif self.kind == "integer":
            one |= {"minimum": self.low, "maximum": self.high}
        if self.default is not None:
            one["default"] = self.default
        return {"type": "array", "items": one, "maxItems": _MOST} if self.repeated else one

    def read(self, text: str) -> Any:  # noqa: ANN401 # of its kind
        """Return the value of ``text``. Raises ``ParameterError``."""
        if "\0" in text:
            raise ParameterError(f"{self.name}: found a NUL character; allowed: none")
        if self.kind == "integer":
            if not text.isascii() or not text.isdecimal() or not self.low <= int(text[:20]) <= self.high:
                raise ParameterError(f"{self.name}: found {text[:80]!r}; allowed: {self.low} to {self.high}")
            return int(text)
        if self.kind == "boolean":
            if text.lower() not in _BOOLEANS:
                raise ParameterError(f"{self.name}: found {text[:80]!r}; allowed: true, false")
            return _BOOLEANS[text.lower()]
        if self.allowed and text not in self.allowed:
            raise ParameterError(f"{self.name}: found {text[:80]!r}; allowed: {', '.join(self.allowed)}")
        if len(text) > self.longest:
            raise ParameterError(f"{self.name}: found {len(text)} characters; allowed: at most {self.longest}")
        return text


_MOST = 100
"""Values of a repeated parameter."""

LIMIT = Parameter(name="limit", about="Rows of a page.", kind="integer", low=1, high=500, default=500)
ORG_ID = Parameter(name="org_id", about="The organisation; that of the credentials when it is not given.")
PAGING = (
    Parameter(name="page_on", about="Fields to order by, most significant first.", repeated=True, longest=128),
    Parameter(
        name="page_at_key",
        about="The key of the page before, as page_info told it; not given for the first page.",
        repeated=True,
    ),
    Parameter(name="page_sort", about="The order of each field of page_on.", repeated=True, allowed=("asc", "desc")),
    Parameter(
        name="search_direction",
        about="backwards: the page that ends before the key.",
        allowed=("forwards", "backwards"),
        default="forwards",
    ),
)


def read(pairs: Iterable[tuple[str, str]], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return each parameter's value, its default or None where it is not given; a tuple for a repeated one.

    An empty value is the same as none, except in a key. Unknown parameters are left alone: a newer client may send
    more. Raises ``ParameterError``.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {p.name: () if p.repeated else p.default for p in parameters}
    given: set[str] = set()
    for name, text in pairs:
        parameter = known.get(name)
        if parameter is None:
            continue
        if parameter.repeated:
            if len(values[name]) == _MOST:
                raise ParameterError(f"{name}: given more often than {_MOST} times")
            values[name] += (parameter.read(text),)
        elif name in given:
            raise ParameterError(f"{name}: given more than once")
        elif text:
            values[name] = parameter.read(text)
        given.add(name)
    return values
