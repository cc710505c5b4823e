"""Pages of a list, one after the other (WIRE 1.2): the server's keys go back verbatim, never rebuilt."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agent import hints
from agent.api.dates import rfc3339
from agent.api.errors import ApiError
from agent.api.queries import at_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from agent.api.session import Parameters

_KEYED = frozenset({"page_on", "page_at_key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Where the next page begins: what the server said, as it said it."""

    page_on: tuple[str, ...]
    page_at_key: tuple[str | None, ...]

    def apply(self, given: Parameters) -> Parameters:
        """Return ``given`` with this key in the place of the one before."""
        kept = [(name, value) for name, value in given if name not in _KEYED]
        return [*kept, *(("page_on", name) for name in self.page_on), *at_key(self.page_at_key)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows as the server wrote them, and where the next page begins; None: it has not said."""

    rows: list[dict[str, Any]]
    next_key: Key | None


def read_page(document: dict[str, Any], member: str, *, what: str) -> Page:
    """Return the page in an answer whose rows stand at ``member``. Raises ``ApiError`` when there is none."""
    rows = document.get(member)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError(f"{what}: the answer has no list {member!r}")
    return Page(rows=rows, next_key=_key(document.get("page_info")))


def _key(info: object) -> Key | None:
    if not isinstance(info, dict):
        return None
    names, values = info.get("page_on"), info.get("page_at_key")
    if not isinstance(names, list) or not isinstance(values, list) or not values:
        return None
    if not all(isinstance(name, str) for name in names) or all(value is None for value in values):
        return None
    return Key(page_on=tuple(names), page_at_key=tuple(_text(value) for value in values))


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


async def pages(
    fetch: Callable[[Parameters], Awaitable[Page]], first: Parameters, *, by_time: bool = False, limit: int = 500
) -> AsyncIterator[Page]:
    """Yield every page from the one ``first`` asks for, until one is empty or names no next.

    ``by_time``: a server that names no key is asked again by ``dt_to``, as older ones are paged (newest first).
    Raises ``ApiError`` when a server gives the same key for ever.
    """
    asked = first
    while True:
        page = await fetch(asked)
        if not page.rows:
            return
        yield page
        if page.next_key is None:
            if by_time and len(page.rows) >= limit and not any(name == "page_at_key" for name, _ in asked):
                async for older in _older(fetch, first, page, limit):
                    yield older
            return
        following = page.next_key.apply(asked)
        if following == asked:
            raise ApiError(f"the server gives the same page_at_key again: {list(page.next_key.page_at_key)}")
        asked = following


async def _older(
    fetch: Callable[[Parameters], Awaitable[Page]], first: Parameters, page: Page, limit: int
) -> AsyncIterator[Page]:
    """Yield the pages before ``page``, by time. Rows of the boundary's very moment are asked for again and not
    given twice, because ``dt_to`` is exclusive and several rows may share one moment.
    """
    kept = [(name, value) for name, value in first if name != "dt_to"]
    step = timedelta(microseconds=1)
    given = _identities(page)
    while len(page.rows) >= limit and (oldest := _time(page.rows[-1])) is not None:
        for until in (oldest + step, oldest):  # the second one for a page full of one moment
            page = await fetch([*kept, ("dt_to", rfc3339(until))])
            new = [row for row in page.rows if _identity(row) not in given]
            if new or not page.rows:
                break
        if not new:
            return
        given = _identities(page)
        yield Page(rows=new, next_key=None)


def _time(row: dict[str, Any]) -> datetime | None:
    text = row.get("time")
    return hints.rfc3339(text) if isinstance(text, str) else None


def _identity(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def _identities(page: Page) -> set[str]:
    return {_identity(row) for row in page.rows}
