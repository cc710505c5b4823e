"""The hot path stays hot: the agent against a naive script, in the same run. ``bench/guard.py`` has the floors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import guard

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.limit(300)
def test_the_agent_keeps_its_distance_from_the_script_that_anybody_would_write(tmp_path: Path) -> None:
    found = guard.compare(tmp_path)
    print(f"\n{found}")
    assert found.holds(), f"slower than it was; profile with: ./dev bench bulk\n{found}"


def test_below_a_floor_the_guard_says_both_figures_and_the_floor() -> None:
    script = guard.Pace(cpu_per_million=14.0, events_per_second=70_000)
    slow = guard.Pace(cpu_per_million=14.0 / guard.CPU_FLOOR * 1.01, events_per_second=1_000_000)
    found = guard.Comparison(agent=slow, script=script)
    assert not found.holds()
    assert f"{slow.cpu_per_million:.2f}" in str(found)
    assert "14.00" in str(found)
    assert f"floor {guard.CPU_FLOOR}" in str(found)
    late = guard.Pace(cpu_per_million=1.0, events_per_second=70_000 * guard.THROUGHPUT_FLOOR * 0.99)
    assert not guard.Comparison(agent=late, script=script).holds()
