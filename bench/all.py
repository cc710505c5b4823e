"""Every scenario with every contestant, in turns; then the page ``docs/benchmarks.md`` with tables and pictures.

``--quick`` takes a fraction of the lines and one run: it shows that everything works, not how fast; its page goes to
``bench/results/quick``. ``--only`` measures some scenarios and puts them among the figures of the last time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import common, page, sinks
from bench.native import program
from bench.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from bench.job import Figures

DOCS = common.ROOT / "docs"
RESULTS = common.ROOT / "bench" / "results"
FLOODED = 5_000_000
PEERS = ("rsyslog-http", "rsyslog-tcp", "syslog-ng")


def main() -> int:
    """Measure, save, write the page; 1 when the agent lost a line or a contestant failed."""
    arguments = _arguments()
    chosen = [s for s in SCENARIOS if not arguments.only or s.name in arguments.only]
    runs = arguments.runs or (1 if arguments.quick else 5)
    results: dict[str, Any] = {
        "machine": common.machine(),
        "sink_events_per_second": _sink_alone(),
        "scenarios": [],
    }
    print(f"{results['machine']}\nthe sink alone: {results['sink_events_per_second']:,.0f} events/s", file=sys.stderr)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        for scenario in chosen:
            measured = scenario.small() if arguments.quick else scenario
            results["scenarios"].append(_take_turns(measured, Path(name), runs, wrong, peers=arguments.peers))
    saved = _save(results)
    print(f"saved: {saved.relative_to(common.ROOT)}", file=sys.stderr)
    written = page.write(results, RESULTS / "quick") if arguments.quick else page.write(_merged(results), DOCS)
    print(f"written: {written.relative_to(common.ROOT)}", file=sys.stderr)
    for told in wrong:
        print(f"WRONG: {told}", file=sys.stderr)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, help="of each contestant in each scenario (default: 5; with --quick: 1)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[s.name for s in SCENARIOS])
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave rsyslog and syslog-ng out")
    return parser.parse_args()


def _sink_alone() -> float:
    """Return what the sink takes from a sender that does next to nothing; 0 where there is no compiler."""
    flood = program("flood")
    if flood is None:
        return 0.0
    with sinks.sink() as receiving:
        command = [str(flood), str(receiving.port), str(FLOODED)]
        return float(subprocess.run(command, capture_output=True, check=True).stdout)


def _take_turns(scenario: Scenario, inputs: Path, runs: int, wrong: list[str], *, peers: bool) -> dict[str, Any]:
    figures: dict[str, list[Figures]] = {who: [] for who in scenario.contestants if peers or who not in PEERS}
    for number in range(runs):
        for who in tuple(figures):
            try:
                found = scenario.run(who, inputs)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                wrong.append(f"{scenario.name}, {who}: {error}")
                found = None
            if found is None:
                del figures[who]  # it is not to be had; said once is enough
                continue
            figures[who].append(found)
            told = ", ".join(f"{name} {value:,.2f}" for name, value in found.items())
            print(f"{scenario.name} {number + 1}/{runs} {who}: {told}", file=sys.stderr)
            if who in page.OWN and found.get("lost"):
                wrong.append(f"{scenario.name}, {who}: {found['lost']:,.0f} lines lost")
    return {
        "name": scenario.name,
        "title": scenario.title,
        "runs": runs,
        "plot": scenario.plot,
        "contestants": {who: _summary(found) for who, found in figures.items() if found},
    }


def _summary(runs: list[Figures]) -> dict[str, dict[str, float]]:
    return {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for name in runs[0]
        if (values := [run[name] for run in runs if name in run])
    }


def _save(results: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    return path


def _merged(results: dict[str, Any]) -> dict[str, Any]:
    """Return ``results`` with the scenarios of the last page that were not measured now."""
    last = DOCS / "benchmarks.json"
    known = json.loads(last.read_text())["scenarios"] if last.exists() else []
    found = {s["name"]: s for s in [*known, *results["scenarios"]]}
    return results | {"scenarios": [found[s.name] for s in SCENARIOS if s.name in found]}


if __name__ == "__main__":
    sys.exit(main())
