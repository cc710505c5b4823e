"""Pages by key (WIRE 1.2): where the page before ended, not how many rows to skip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIE_BREAK = "id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEWEST_FIRST = frozenset({"time"})
_ALLOWED_ORDERS = ("asc", "desc")


class PageError(ValueError):
    """The paging parameters cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field that rows can be ordered by: its column, and whether that is a number or a time."""

    column: sa.ColumnElement[Any]
    kind: str = "text"
    """``text``, ``number`` or ``time``."""

    def value(self, shown: str | None) -> Any:  # noqa: ANN401 # of the column's type
        """Return what the column is compared with. Raises ``PageError``."""
        if self.kind == "text":
            return shown or ""
        try:
            if self.kind == "number":
                number = int(shown or "")
            else:
                when = msgspec.convert(shown, datetime)
                number = (when - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, TypeError, OverflowError) as error:
            raise PageError(f"page_at_key: found {str(shown)[:80]!r}, which is no {self.kind}") from error
        if not -(1 << 63) <= number < 1 << 63:
            raise PageError(f"page_at_key: found {str(shown)[:80]!r}, which is too large")
        return number

    def shown(self, value: Any) -> str:  # noqa: ANN401 # of the column's type
        """Return the column's value as a part of a key."""
        return timestamp(value) if self.kind == "time" else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which page of what order."""

    page_on: tuple[str, ...]
    ascending: tuple[bool, ...]
    at: tuple[Any, ...] | None
    backwards: bool
    fields: Mapping[str, Field]

    def apply(self, query: sa.Select[Any]) -> sa.Select[Any]:
        """Return ``query`` from its key on, in its order."""
        forwards = [up != self.backwards for up in self.ascending]
        columns = [self.fields[name].column for name in self.page_on]
        if self.at is not None:
            query = query.where(_beyond(columns, forwards, self.at))
        return query.order_by(*(c.asc() if up else c.desc() for c, up in zip(columns, forwards, strict=True)))

    def after(self, row: sa.Row[Any]) -> Paging:
        """Return the same from behind ``row`` on."""
        return replace(self, at=tuple(getattr(row, name) for name in self.page_on))

    def key(self, row: sa.Row[Any]) -> list[str]:
        """Return the key of a row that ``apply``'s query gave; its columns bear the fields' names."""
        return [self.fields[name].shown(getattr(row, name)) for name in self.page_on]

    def info(self, first: list[str], last: list[str]) -> dict[str, Any]:
        """Return ``page_info`` for a page whose first and last rows, in the order asked for, have these keys.

        ``page_at_key`` goes on in the same direction, ``previous_key`` in the other.
        """
        ahead, behind = (first, last) if self.backwards else (last, first)
        return {"page_on": list(self.page_on), "page_at_key": ahead, "previous_key": behind}


def paging(
    fields: Mapping[str, Field],
    *,
    page_on: Sequence[str],
    default: Sequence[str],
    page_sort: Sequence[str] = (),
    page_at_key: Sequence[str | None] = (),
    backwards: bool = False,
) -> Paging:
    """Return the page that the parameters of a request mean. Raises ``PageError``."""
    names = tuple(page_on) or tuple(default)
    if unknown := [name for name in names if name not in fields]:
        allowed = ", ".join(fields)
        raise PageError(f"page_on: found {unknown[0][:80]!r}, which is no pagination key here; allowed: {allowed}")
    if len(set(names)) < len(names):
        raise PageError("page_on: found the same pagination key twice")
    if TIE_BREAK not in names:
        names = (*names, TIE_BREAK)
    if wrong := [order for order in page_sort if order not in _ALLOWED_ORDERS]:
        raise PageError(f"page_sort: found {wrong[0][:80]!r}; allowed: asc, desc")
    if len(page_sort) > len(names):
        raise PageError(f"page_sort: found {len(page_sort)} for {len(names)} of page_on")
    if page_at_key and len(page_at_key) != len(names):
        raise PageError(f"page_at_key: found {len(page_at_key)} values for the pagination key {', '.join(names)}")
    at = tuple(fields[name].value(v) for name, v in zip(names, page_at_key, strict=True)) if page_at_key else None
    return Paging(page_on=names, ascending=_orders(names, page_sort), at=at, backwards=backwards, fields=fields)


def _orders(names: Sequence[str], page_sort: Sequence[str]) -> tuple[bool, ...]:
    """Return which fields ascend. A field without an order follows the one before it; times are newest first.

    It depends on nothing but what is sent back verbatim, so every page has the same order.
    """
    orders: list[bool] = []
    for number, name in enumerate(names):
        if number < len(page_sort):
            orders.append(page_sort[number] == "asc")
        else:
            orders.append(orders[-1] if orders else name not in _NEWEST_FIRST)
    return tuple(orders)


def _beyond(columns: Sequence[sa.ColumnElement[Any]], forwards: Sequence[bool], at: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return the condition that a row comes after the key ``at``."""
    if len(set(forwards)) == 1:  # databases find the place in an index by this form
        row, key = sa.tuple_(*columns), sa.tuple_(*at)
        return row > key if forwards[0] else row < key
    conditions = []
    for number, (column, up, value) in enumerate(zip(columns, forwards, at, strict=True)):
        same = [c == v for c, v in zip(columns[:number], at[:number], strict=True)]
        conditions.append(sa.and_(*same, column > value if up else column < value))
    return sa.or_(*conditions)


def timestamp(microseconds: int) -> str:
    """Return a time as RFC 3339 in UTC, to the microsecond."""
    when = _EPOCH + timedelta(microseconds=microseconds)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")
