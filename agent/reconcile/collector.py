"""A collector as receiver: the offsets of one stream after the other, some hundred thousand in an answer."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import httpx
import msgspec

from agent.errors import AgentError
from agent.reconcile.names import split
from agent.reconcile.receiver import Others

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

ATTEMPTS = 5
PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 10.0
_PAGE = 100_000
_BUSY = frozenset({429, 500, 502, 503, 504})


class _Page(msgspec.Struct):
    offsets: list[int]
    more: bool = False


_PAGES = msgspec.json.Decoder(_Page)


class Collector:
    """Asks a collector for what it has of a stream; each stream is in its memory once, so nothing is there twice."""

    damaged = 0
    notes: Sequence[str] = ()

    def __init__(self, client: httpx.Client, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Ask through ``client``, whose base URL and credentials are the collector's."""
        self._client = client
        self._sleep = sleep
        self._last: tuple[str, array[int]] = ("", array("Q"))

    def offsets(self, stream: str) -> array[int]:
        """Return the offsets of the events of ``stream``, ascending. Raises ``AgentError`` when it cannot be asked."""
        if self._last[0] == stream:
            return self._last[1]
        found: array[int] = array("Q")
        while True:
            page = self._ask(stream, after=found[-1] if found else None)
            if found and page.offsets and page.offsets[0] <= found[-1]:
                raise AgentError(f"{self._client.base_url}: its answers for the stream {stream} do not go on")
            found.extend(page.offsets)
            if not page.more or not page.offsets:
                break
        self._last = (stream, found)
        return found

    def copies(self, unique_id: str) -> int | None:
        """Return whether the event is there; None for an id of no stream, which a collector cannot be asked for."""
        made = split(unique_id)
        if made is None:
            return None
        there = self.offsets(made[0])
        return bisect_right(there, made[1]) - bisect_left(there, made[1])

    def others(self, streams: Collection[str], *, agent_id: str) -> Others:  # noqa: ARG002 # the contract's names
        """Count nothing: what a collector has of others is none of this agent's business."""
        return Others()

    def _ask(self, stream: str, *, after: int | None) -> _Page:
        query = {"limit": str(_PAGE)} | ({} if after is None else {"after": str(after)})
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(min(MAX_PAUSE_SECONDS, PAUSE_SECONDS * 2**attempt))
            try:
                answer = self._client.get(f"/v1/streams/{stream}/ids", params=query)
            except httpx.HTTPError as error:
                trouble = str(error) or type(error).__name__
                continue
            if answer.status_code == httpx.codes.OK:
                try:
                    return _PAGES.decode(answer.content)
                except msgspec.MsgspecError as error:
                    raise AgentError(f"{self._client.base_url}: not a collector's answer: {error}") from error
            trouble = f"HTTP {answer.status_code}"
            if answer.status_code not in _BUSY:
                break
        raise AgentError(f"{self._client.base_url}: cannot be asked what it has: {trouble}")
