"""The guard of the hot path: the agent against the script anybody would write, both in this run, in turns.

Ratios, not times, so a slow machine does not matter; CPU per event without what a start costs, the best of some rounds,
so a busy one matters little. The floors stand here, and only here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import common
from bench.job import Job
from bench.lines import Input

CPU_FLOOR = 4.0
"""The script's CPU per event is at least so many times the agent's. Measured: 7.5; beside heavy loads 5.7."""
THROUGHPUT_FLOOR = 3.0
"""The agent's events per second, once it runs, are at least so many times the script's. Measured: 9."""

WHO = ("agent", "script")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The best of one contestant."""

    cpu_per_million: float
    """Seconds, without start-up and end."""
    events_per_second: float
    """From the first receipt to the last."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both, and what follows."""

    agent: Pace
    script: Pace

    @property
    def cpu(self) -> float:
        """How many times the agent's CPU per event the script takes."""
        return self.script.cpu_per_million / self.agent.cpu_per_million

    @property
    def throughput(self) -> float:
        """How many times as fast as the script the agent is."""
        return self.agent.events_per_second / self.script.events_per_second

    def holds(self) -> bool:
        """Tell whether both are at least their floors."""
        return self.cpu >= CPU_FLOOR and self.throughput >= THROUGHPUT_FLOOR

    def __str__(self) -> str:
        """Return both figures and the floors."""
        return (
            f"CPU s per million: agent {self.agent.cpu_per_million:.2f}, script {self.script.cpu_per_million:.2f}:"
            f" {self.cpu:.1f} times, floor {CPU_FLOOR}\n"
            f"events/s: agent {self.agent.events_per_second:,.0f}, script {self.script.events_per_second:,.0f}:"
            f" {self.throughput:.1f} times, floor {THROUGHPUT_FLOOR}"
        )


def compare(folder: Path, *, lines: int = 200_000, rounds: int = 3) -> Comparison:
    """Measure both; the lines are written into ``folder``. Raises ``RuntimeError`` when one fails or loses a line."""
    large = Job(name="guard", title="", input=Input(lines=lines))
    single = Job(name="start", title="", input=Input(lines=1))
    starts: dict[str, list[float]] = {who: [] for who in WHO}
    jobs: dict[str, list[float]] = {who: [] for who in WHO}
    paces: dict[str, list[float]] = {who: [] for who in WHO}
    for _ in range(rounds):
        for who in WHO:
            starts[who].append(_run(single, who, folder)["cpu_per_million"] / 1e6)
            found = _run(large, who, folder)
            jobs[who].append(found["cpu_per_million"] / 1e6 * lines)
            paces[who].append(found["steady_events_per_second"])
    agent, script = (
        Pace(cpu_per_million=(min(jobs[who]) - min(starts[who])) / lines * 1e6, events_per_second=max(paces[who]))
        for who in WHO
    )
    return Comparison(agent=agent, script=script)


def _run(job: Job, who: str, folder: Path) -> dict[str, float]:
    found = job.run(who, folder)
    if found is None or found["lost"] or found["twice"]:
        raise RuntimeError(f"{who} did not deliver every line exactly once: {found}")
    return found


def main() -> int:
    """Compare and tell; 1 below a floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name), lines=arguments.lines, rounds=arguments.rounds)
    print(found)
    return 0 if found.holds() else 1


if __name__ == "__main__":
    sys.exit(main())
