"""An event's key in the collector's database."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.collector.store.key import FOREIGN, key

STREAM = "5f6f2b1e0c3f4a559f1d2f6d7c0a9b11"
NEAR = st.builds(
    lambda stream, offset: f"{stream}.{offset}",
    st.sampled_from([STREAM, STREAM.upper(), STREAM[1:], STREAM + "0"]),
    st.sampled_from(["0", "00", "1f", "1F", "01f", "", "f" * 15, "f" * 16, "1.1", "-1"]),
)


def test_an_id_of_this_agent_is_its_stream_and_its_offset() -> None:
    assert key(f"{STREAM}.1f") == (bytes.fromhex(STREAM), 0x1F)
    assert key(f"{STREAM}.0") == (bytes.fromhex(STREAM), 0)


def test_an_offset_fits_the_column() -> None:
    assert key(f"{STREAM}.{'f' * 15}")[1] < 2**63
    assert key(f"{STREAM}.{'f' * 16}")[1] == FOREIGN


@given(NEAR, NEAR)
def test_two_ids_have_the_same_key_only_when_they_are_the_same(one: str, other: str) -> None:
    assert (key(one) == key(other)) == (one == other)
