"""The settled prefix: never past an unsettled event, never backwards, at the end when all is settled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.events import Slice
from agent.lane.acks import Acks


class _Model:
    """Streams as lists of offsets, opened and settled in any order; the truth to hold the acks to."""

    def __init__(self) -> None:
        self.acks = Acks()
        self.cursor: dict[str, int] = {}
        self.read: dict[str, int] = {}
        self.unsettled: dict[str, set[int]] = {}
        self.open: list[tuple[Slice, list[int]]] = []

    def extend(self, stream: str, events: int, tail: int) -> None:
        start = self.read.get(stream, 0)
        end = start + events + tail
        self.read[stream] = end
        if not events:
            self.acks.advance(stream, end)
            return
        piece = Slice(stream=stream, offsets=range(start, start + events), end=end)
        self.acks.open(piece)
        self.unsettled.setdefault(stream, set()).update(piece.offsets)
        self.open.append((piece, list(piece.offsets)))

    def settle(self, which: int, gone: set[int]) -> None:
        piece, pending = self.open[which]
        left = [o for i, o in enumerate(pending) if i not in gone]
        self.unsettled[piece.stream].difference_update(set(pending) - set(left))
        self.acks.settle(piece, left[0] if left else None)
        if left:
            self.open[which] = (piece, left)
        else:
            del self.open[which]

    def check(self) -> None:
        for stream, position in self.acks.take_dirty().items():
            assert position >= self.cursor.get(stream, 0), "moved backwards"
            self.cursor[stream] = position
        for stream, end in self.read.items():
            unsettled = self.unsettled.get(stream)
            # Everything before the first unsettled event is passed, and nothing more.
            assert self.cursor.get(stream, 0) <= (min(unsettled) if unsettled else end)
            if not unsettled:
                assert self.cursor[stream] == end


_STREAMS = st.sampled_from(["a", "b"])


@given(st.data())
def test_the_cursor_never_passes_an_unsettled_event_nor_moves_backwards_and_reaches_the_end(
    data: st.DataObject,
) -> None:
    model = _Model()
    for _ in range(data.draw(st.integers(1, 25))):
        if model.open and data.draw(st.booleans()):
            which = data.draw(st.integers(0, len(model.open) - 1))
            model.settle(which, data.draw(st.sets(st.integers(0, len(model.open[which][1]) - 1))))
        else:
            events = data.draw(st.integers(0, 4))
            model.extend(data.draw(_STREAMS), events, data.draw(st.integers(1 if not events else 0, 3)))
        if data.draw(st.booleans()):
            model.check()
    while model.open:
        which = data.draw(st.integers(0, len(model.open) - 1))
        model.settle(which, set(range(len(model.open[which][1]))))
        model.check()
    model.check()
    assert model.cursor == model.read


def test_pain_16_a_range_without_events_moves_the_cursor_at_once() -> None:
    acks = Acks()
    acks.advance("s", 100)
    assert acks.take_dirty() == {"s": 100}
    assert acks.take_dirty() == {}


def test_ranges_without_events_behind_an_unsettled_one_cost_no_memory() -> None:
    acks = Acks()
    piece = Slice(stream="s", offsets=[0], end=1)
    acks.open(piece)
    for end in range(2, 1000):
        acks.advance("s", end)
    assert len(acks._open["s"]) == 2
    assert acks.take_dirty() == {}
    acks.settle(piece, None)
    assert acks.take_dirty() == {"s": 999}


def test_settling_the_same_slice_again_changes_nothing() -> None:
    acks = Acks()
    piece = Slice(stream="s", offsets=[0, 1], end=2)
    acks.open(piece)
    acks.settle(piece, None)
    acks.settle(piece, None)
    assert acks.take_dirty() == {"s": 2}
