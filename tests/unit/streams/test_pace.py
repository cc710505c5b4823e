"""The pace of looks: a lone line is never put off, a trickle is taken in spoonfuls."""

from __future__ import annotations

from agent.streams.pace import Pace

BUSY = 0.01


def test_a_look_after_a_quiet_moment_and_the_one_after_it_go_at_once() -> None:
    pace = Pace(BUSY)
    assert pace.next_look <= 0
    for now in (100.0, 100.05, 100.1):  # twenty lines a second
        pace.looked(now)
        assert pace.next_look <= now


def test_looks_that_follow_each_other_closely_are_kept_apart_until_it_is_quiet_again() -> None:
    pace = Pace(BUSY)
    pace.looked(100.0)
    now = 100.0002
    for _ in range(50):  # each rings as soon as it may
        pace.looked(now)
        assert pace.next_look == now + BUSY
        now = pace.next_look + 0.0002
    pace.looked(now + 1)
    assert pace.next_look == now + 1
