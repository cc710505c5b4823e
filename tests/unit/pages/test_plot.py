"""Plots: scales end at round numbers, gaps stay gaps, and what is drawn is said in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.collector.pages.plot import HEIGHT, WIDTH, plot

_VALUES = st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=50)


def words(value: float) -> str:
    return f"{value:g}"


@given(_VALUES)
def test_everything_stays_within_the_frame(values: list[float | None]) -> None:
    made = plot("Rate", "rate", values, start=0, step=60, words=words)
    for path in str(made.svg).split(' d="')[1:]:
        numbers = path.partition('"')[0].replace("M", " ").replace("L", " ").replace("H", " ").replace("Z", " ").split()
        assert all(-0.01 <= float(n) <= max(WIDTH, HEIGHT) + 0.1 for n in numbers)


def test_a_gap_is_not_drawn_over_and_a_value_alone_is_seen() -> None:
    made = plot("Lag", "lag", [1, 2, None, 4, None, 3, 3], start=0, step=60, words=words)
    drawn = str(made.svg).rpartition('class="line" d="')[2].partition('"')[0]
    assert drawn.count("M") == 3
    assert made.described == "newest 3, highest 4"


def test_without_values_there_is_a_plot_that_says_so() -> None:
    made = plot("Rate", "rate", [None, None], start=0, step=60, words=words)
    assert (made.newest, made.described) == ("none", "nothing was reported in this time")


def test_scales_end_at_given_or_round_values() -> None:
    assert plot("", "", [734.0], start=0, step=60, words=words, tops=(600, 1200)).ticks == ["1200", "600", "0"]
    assert plot("", "", [734.0], start=0, step=60, words=words).ticks == ["800", "400", "0"]
