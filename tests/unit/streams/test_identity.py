"""Heads, marks and the names of streams."""

from __future__ import annotations

import re

import pytest

from agent.streams.identity import HEAD_BYTES, digest, head_length, stream_id


@pytest.mark.parametrize(
    ("first", "length"),
    [
        (b"", None),
        (b"no line feed yet", None),
        (b"\n", 1),
        (b"one\ntwo\n", 4),
        (b"x" * (HEAD_BYTES - 1), None),
        (b"x" * (HEAD_BYTES - 1) + b"\n", HEAD_BYTES),
        (b"x" * HEAD_BYTES, HEAD_BYTES),
        (b"x" * HEAD_BYTES + b"\n", HEAD_BYTES),
    ],
)
def test_a_head_is_the_first_line_but_at_most_4_kib(first: bytes, length: int | None) -> None:
    assert head_length(first) == length


def test_a_stream_id_is_the_same_for_the_same_and_another_for_anything_else() -> None:
    base = {"agent": "g", "source": "s", "family": "/a.log", "head": digest(b"one\n"), "generation": 0}
    others = [
        base | change
        for change in (
            {"agent": "h"},
            {"source": "t"},
            {"family": "/b.log"},
            {"head": digest(b"two\n")},
            {"generation": 1},
            {"agent": "gs", "source": ""},
        )
    ]
    assert stream_id(**base) == stream_id(**base)
    assert len({stream_id(**parts) for parts in (base, *others)}) == 7


def test_an_event_id_made_of_it_is_allowed_on_the_wire() -> None:
    name = stream_id(agent="ü", source="s", family="/\udcff\n.log", head=b"", generation=0)
    unique_id = f"{name}.{(1 << 62):x}"
    assert re.fullmatch(r"[a-zA-Z0-9\-._]+", unique_id)
    assert len(unique_id) <= 64
