"""The plain data of a lane: picking events keeps bodies, offsets and subsystems together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.bodies import chained, wrapped
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


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.booleans(), st.data())
def test_events_are_found_by_their_ids_few_or_many(lengths: list[int], late: bool, data: st.DataObject) -> None:
    pieces = [(f"s{i % 2}", range(100 * i, 100 * i + 3 * n, 3)) for i, n in enumerate(lengths)]
    shapes = [b'{"unique_id":"%b.%%x","event":{%%b}}' % stream.encode() for stream, _ in pieces]
    bodies = [wrapped(shape, list(o), [b"x"] * len(o)) for shape, (_, o) in zip(shapes, pieces, strict=True) if o]
    flat = [body for part in bodies for body in part]
    whole = Transaction(
        bodies=chained(bodies) if late and bodies else flat,
        slices=[Slice(stream=stream, offsets=o, end=o[-1] + 3) for stream, o in pieces if o],
    )
    there = whole.unique_ids()
    strangers = ["", ".", "s0", "s0.", "s0.1", "s0.00", "S0.0", "s1.zz", "s0.-3", "s0.0x0", "s9.0", "s0.6_3"]
    names = data.draw(st.sets(st.sampled_from([*there, *strangers]), max_size=12))

    assert whole.find(names) == {name: there.index(name) for name in names & set(there)}


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
