"""The plain data of a lane: picking events keeps bodies, offsets and subsystems together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.events import Slice, Transaction, unique_id
from tests.support.blocks import block, event


def _transaction(lengths: list[int], *, per_event: bool) -> Transaction:
    slices = [Slice(stream=f"s{i}", offsets=range(n), end=n) for i, n in enumerate(lengths)]
    bodies = [event(s.stream, offset) for s in slices for offset in s.offsets]
    return Transaction(bodies=bodies, slices=slices, types=[f"t{i}" for i in range(len(bodies))] if per_event else "t")


@given(st.lists(st.integers(1, 5), max_size=6), st.booleans(), st.data())
def test_picked_events_keep_their_id_their_bytes_and_their_subsystem(
    lengths: list[int], per_event: bool, data: st.DataObject
) -> None:
    whole = _transaction(lengths, per_event=per_event)
    wanted = sorted(data.draw(st.sets(st.integers(0, len(whole) - 1)))) if len(whole) else []
    part = whole.pick(wanted)
    assert part.unique_ids() == [whole.unique_ids()[i] for i in wanted]
    assert part.bodies == [whole.bodies[i] for i in wanted]
    assert part.types == ([f"t{i}" for i in wanted] if per_event else "t")
    assert part.size == sum(map(len, part.bodies))
    assert all(s.offsets for s in part.slices)


def test_a_block_without_some_of_its_events_still_covers_the_same_bytes() -> None:
    whole = block(10, 3, end=50, types=["a", "b", "c"])
    part = whole.keep([0, 2])
    assert (part.start, part.end) == (10, 50)
    assert list(part.offsets) == [10, 12]
    assert part.log_types == ["a", "c"]
    assert part.bodies == [whole.bodies[0], whole.bodies[2]]
    assert part.size == sum(map(len, part.bodies))
    assert whole.keep(()).size == 0


def test_the_id_of_an_event_is_its_stream_and_its_offset_in_hexadecimal() -> None:
    assert unique_id("ab", 255) == "ab.ff"
