"""Events that are put together late are the same bytes as if they had been put together at once."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agent.bodies import Wrapped, chained, join, lengths, picked, total, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPE = b'{"unique_id":"s.%x","event":{"a":"100%%",%b}}'
LINES = st.lists(st.binary(max_size=30).map(lambda inside: b'{"' + inside + b"}\n"), min_size=1, max_size=40)


def events(lines: list[bytes], start: int) -> tuple[Sequence[bytes], list[bytes]]:
    offsets = list(accumulate(map(len, lines), initial=start))
    end = offsets.pop()
    rests = [line[1:-2] for line in lines]
    late = wrapped(SHAPE, offsets, rests, end=end, trimmed=3)
    return late, [SHAPE % pair for pair in zip(offsets, rests, strict=True)]


@given(lines=LINES, start=st.integers(0, 300), data=st.data())
def test_a_part_of_the_events_has_their_bytes_and_knows_how_many_they_are(
    lines: list[bytes], start: int, data: st.DataObject
) -> None:
    late, at_once = events(lines, start)
    low = data.draw(st.integers(0, len(lines)))
    high = data.draw(st.integers(low, len(lines)))
    middle = data.draw(st.integers(low, high))

    for part, expected in (
        (late, at_once),
        (late[low:high], at_once[low:high]),
        (late[low:high][middle - low :], at_once[middle:high]),
        (late[::2], at_once[::2]),
        (late[low:high][:0], []),
    ):
        assert list(part) == expected
        assert total(part) == sum(map(len, expected))
        assert lengths(part) == list(map(len, expected))


@given(parts=st.lists(st.tuples(LINES, st.integers(0, 300), st.booleans()), max_size=4))
def test_a_request_holds_the_events_of_all_chunks_between_its_head_and_its_end(
    parts: list[tuple[list[bytes], int, bool]],
) -> None:
    made = [(events(lines, start), keep_late) for lines, start, keep_late in parts]
    bodies = chained([late if keep_late else at_once for (late, at_once), keep_late in made])
    expected = [event for (_late, at_once), _keep_late in made for event in at_once]

    assert join(bodies, before=b"%[", between=b",%", after=b"]%") == b"%[" + b",%".join(expected) + b"]%"
    assert total(bodies) == sum(map(len, expected))


@given(lines=LINES, start=st.integers(0, 300), data=st.data())
def test_single_events_are_picked_out_of_a_chunk(lines: list[bytes], start: int, data: st.DataObject) -> None:
    late, at_once = events(lines, start)
    wanted = sorted(data.draw(st.sets(st.integers(0, len(lines) - 1))))

    assert list(picked(late, wanted)) == [at_once[i] for i in wanted]
    assert total(picked(late, wanted)) == sum(len(at_once[i]) for i in wanted)


@given(lines=LINES, start=st.integers(0, 300), room=st.integers(0, 3000), data=st.data())
def test_how_many_events_fit_is_known_without_looking_at_them(
    lines: list[bytes], start: int, room: int, data: st.DataObject
) -> None:
    late, at_once = events(lines, start)
    low = data.draw(st.integers(0, len(lines) - 1))
    high = data.draw(st.integers(low, len(lines)))
    if not isinstance(late, Wrapped):
        return
    count = sum(size <= room for size in accumulate(len(event) for event in at_once[low:high]))
    assert late.fitting(low, high, room) == low + count
    assert late[low:].fitting(0, high - low, room) == count
