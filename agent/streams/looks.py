"""What is only known of a large compressed member by reading it through.

Following, that is found out in slices on threads, while everything else goes on: who asks is told ``NotYetError``, and
asks again once there is an answer. Answers are kept until their family is decided.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import anyio
import anyio.to_thread

from agent.streams import places
from agent.streams.family import family
from agent.streams.places import MovedError, at_once, has_head
from agent.streams.unpack import DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.streams.content import Content
    from agent.streams.places import Place, Steps
    from agent.streams.stream import Stream

Found = TypeVar("Found")

_SMALL_BYTES = 64 << 10
"""A compressed file of up to this size is read through at once, without a thread."""
_SLICE_SECONDS = 0.1


class NotYetError(Exception):
    """The answer is being looked for; ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    place: Place
    about: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    value: object = None
    error: Exception | None = None


class Looks:
    """The questions one source has about compressed members, and their answers."""

    def __init__(self, *, small: int = _SMALL_BYTES) -> None:
        """Answer everything at once, until ``later`` is set; and then what files of up to ``small`` bytes ask."""
        self.later = False
        """Whether someone calls ``answer``."""
        self._small = small
        self._asked: dict[_Question, Callable[[], Steps[object]]] = {}
        self._answers: dict[_Question, _Answer] = {}
        self._rung = anyio.Event()

    @property
    def waiting(self) -> bool:
        """Tell whether there are questions without an answer."""
        return bool(self._asked)

    def awaits(self, name: str) -> bool:
        """Tell whether a question about the family ``name`` has no answer yet."""
        return any(family(question.place.path) == name for question in self._asked)

    # Questions; each raises ``NotYetError``, ``MovedError`` or what ``places`` says

    def whole(self, place: Place) -> bool:
        """Tell whether a compressed file can be read to its end."""
        return self._ask(place, ("whole",), lambda: places.whole(place))

    def end_mark(self, place: Place) -> tuple[int, bytes]:
        """Return how many bytes there are, and the tail mark at their end."""
        return self._ask(place, ("end",), lambda: places.end_mark(place))

    def continues(self, stream: Stream, place: Place, first: bytes) -> bool:
        """Tell whether the file has the stream's head, and its bytes before the furthest known offset."""
        if not has_head(stream, first) or (not place.compressed and place.size < stream.reached):
            return False
        offset, mark = places.furthest_mark(stream)
        return not offset or self._ask(place, ("mark", offset, mark), lambda: places.has_mark(place, offset, mark))

    def same_bytes(self, stream: Stream, ours: Content, place: Place) -> bool:
        """Tell whether the shorter of the stream's open file and the file at ``place`` is the beginning of the other.

        What the open file is by now has to be verified afterwards.
        """
        if not self._is_long(place):
            return at_once(places.same_bytes(ours, place))
        return self._ask(
            place, ("same", stream.id), lambda: _closing(twin := ours.twin(), places.same_bytes(twin, place))
        )

    def _is_long(self, place: Place) -> bool:
        return self.later and place.compressed and place.size > self._small

    def _ask(self, place: Place, about: tuple[object, ...], begin: Callable[[], Steps[Found]]) -> Found:
        if not self._is_long(place):
            return at_once(begin())
        question = _Question(place=place, about=about)
        if (answer := self._answers.get(question)) is not None:
            if answer.error is not None:
                raise answer.error
            return cast("Found", answer.value)
        if question not in self._asked:
            for old in [q for q in self._asked if q.place.path == place.path]:
                del self._asked[old]  # the file is not any more what was asked about
            self._asked[question] = begin
            self._rung.set()
        raise NotYetError(place.path)

    # Answers

    async def answer(self) -> str:
        """Wait for a question, look for its answer, and return the family that may be decided now."""
        while not self._asked:
            self._rung = anyio.Event()
            await self._rung.wait()
        question, begin = next(iter(self._asked.items()))
        answer = await self._find(question, begin)
        if self._asked.pop(question, None):
            self._answers[question] = answer
        return family(question.place.path)

    async def _find(self, question: _Question, begin: Callable[[], Steps[object]]) -> _Answer:
        try:
            steps = begin()
        except OSError:
            return _Answer(error=MovedError(question.place.path))  # the stream's file was closed meanwhile
        try:
            while question in self._asked:
                if (answer := await anyio.to_thread.run_sync(_slice, steps)) is not None:
                    return answer
        finally:
            steps.close()
        return _Answer(error=MovedError(question.place.path))

    def forget(self, place: Place) -> None:
        """Take nothing for known of the file at ``place``: it may be another one."""
        for question in [q for q in self._answers if q.place.path == place.path]:
            del self._answers[question]

    def decided(self, name: str) -> None:
        """Forget the answers about a family; nothing of it is open."""
        for question in [q for q in self._answers if family(q.place.path) == name]:
            del self._answers[question]


def _closing(ours: Content, steps: Steps[Found]) -> Steps[Found]:
    try:
        return (yield from steps)
    finally:
        ours.close()


def _slice(steps: Steps[object]) -> _Answer | None:
    """Go on for a moment; None when that was not enough."""
    until = time.monotonic() + _SLICE_SECONDS
    try:
        while time.monotonic() < until:
            next(steps)
    except StopIteration as end:
        return _Answer(end.value)
    except (MovedError, *DAMAGED) as error:
        return _Answer(error=error)
    return None
