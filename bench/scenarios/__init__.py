"""The scenarios of ``./dev bench all``, in the order of the page.

A scenario has ``name``, ``title``, ``contestants``, ``plot`` (which of its figures are drawn), ``small()`` for
``--quick``, and ``run(who, inputs)``, which measures one contestant once and returns its figures by name, or None when
it is not to be had here. A new one: an object of that shape, in a file here, and its name in ``SCENARIOS``. What the
figures are called on the page stands in ``bench/page.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bench.scenarios.collector import COLLECTOR
from bench.scenarios.idle import IDLES
from bench.scenarios.jobs import JOBS
from bench.scenarios.kill import KILL
from bench.scenarios.latency import LATENCIES
from bench.scenarios.start import START

if TYPE_CHECKING:
    from pathlib import Path

    from bench.job import Figures


class Scenario(Protocol):
    """What is measured, and how."""

    @property
    def name(self) -> str:
        """A short name, for the command line and file names."""

    @property
    def title(self) -> str:
        """What is done, for the page."""

    @property
    def contestants(self) -> tuple[str, ...]:
        """Who does it; they take turns."""

    @property
    def plot(self) -> tuple[str, ...]:
        """The figures that are drawn."""

    def small(self) -> Scenario:
        """Return one that takes a fraction of the time."""

    def run(self, who: str, inputs: Path) -> Figures | None:
        """Measure ``who`` once; files of lines are made in ``inputs`` and kept there for the next run."""


SCENARIOS: tuple[Scenario, ...] = (*JOBS, *LATENCIES, *IDLES, START, COLLECTOR, KILL)
