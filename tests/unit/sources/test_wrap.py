"""Lines without a file → envelopes: every line once, whatever the pieces they come in."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.parsers import build
from agent.parsers.base import Common
from agent.sources.wrap import Pieces, Wrapper
from agent.stats import SourceStats

MOST = 8


def pieces() -> tuple[Pieces, SourceStats]:
    common, stats = Common(members={"hostname": "h"}), SourceStats(source="s")
    wrapper = Wrapper(parser=build("text", common), common=common, most_line=MOST, stats=stats)
    return Pieces(wrapper, most_line=MOST), stats


def events(bodies: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(body) for body in bodies]


lines = st.lists(st.text("ab ", max_size=12).map(str.encode), max_size=8)


@given(lines, st.lists(st.integers(0, 100), max_size=6), st.booleans())
def test_each_line_is_one_event_wherever_the_pieces_are_cut(texts: list[bytes], cuts: list[int], ended: bool) -> None:
    data = b"\n".join(texts) + (b"\n" if ended and texts else b"")
    bounds = [0, *sorted(c for c in cuts if c < len(data)), len(data)]
    taker, stats = pieces()
    bodies = [b for low, high in pairwise(bounds) for b in taker.feed(data[low:high])]
    found = events(bodies + taker.finish())
    wanted = [t for t in texts if len(t) > MOST or t.strip()]
    assert [e["event"].get("raw", e["event"].get("message")).encode() for e in found] == [t[:MOST] for t in wanted]
    assert [e["event"].get("line_bytes") for e in found] == [len(t) if len(t) > MOST else None for t in wanted]
    assert len({e["unique_id"] for e in found}) == len(found)
    assert stats.truncated_lines == sum(len(t) > MOST for t in wanted)


def test_two_runs_never_share_an_id() -> None:
    first, second = (events(pieces()[0].feed(b"same\n"))[0]["unique_id"] for _ in range(2))
    assert first != second


def test_a_line_that_never_ends_is_not_held_in_memory() -> None:
    taker, _ = pieces()
    for _ in range(100):
        assert taker.feed(b"x" * 65536) == []
        assert len(taker._rest) <= MOST
    [event] = events(taker.finish())
    assert event["event"]["line_bytes"] == 6553600
    assert event["event"]["raw"] == "x" * MOST
