"""The page ``docs/benchmarks.md``, its pictures, and the figures as JSON: from what ``all`` measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import plot

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """How a figure is called and written."""

    label: str
    digits: int = 0


FIGURES = {
    "events_per_second": Figure(label="events/s"),
    "steady_events_per_second": Figure(label="events/s without start-up"),
    "cpu_per_million": Figure(label="CPU s per million", digits=2),
    "peak_rss_mb": Figure(label="peak RSS, MB"),
    "latency_p50_ms": Figure(label="p50, ms", digits=2),
    "latency_p99_ms": Figure(label="p99, ms", digits=1),
    "latency_worst_ms": Figure(label="worst, ms", digits=1),
    "cpu_percent": Figure(label="CPU, % of a core", digits=1),
    "idle_cpu_percent": Figure(label="idle CPU, % of a core", digits=2),
    "idle_rss_mb": Figure(label="RSS, MB"),
    "first_start_seconds": Figure(label="first start, s", digits=2),
    "second_start_seconds": Figure(label="later start, s", digits=2),
    "arrived_before_kill": Figure(label="arrived before the kill"),
    "lost": Figure(label="lost"),
    "twice": Figure(label="twice"),
    "twice_with_another_id": Figure(label="twice with another id"),
}
NAMES = {
    "agent": "agent",
    "collector": "collector",
    "rsyslog-http": "rsyslog, HTTP",
    "rsyslog-tcp": "rsyslog, TCP",
    "syslog-ng": "syslog-ng, HTTP",
    "script": "script, json",
    "script-orjson": "script, orjson",
}
OWN = frozenset({"agent", "collector"})

HEAD = """# Benchmarks

Made by `./dev bench all`; [the figures as JSON](benchmarks.json). What they mean and where the time goes:
[performance](performance.md).

- Measured on: {machine}. Medians of alternating runs, in brackets the least and the greatest.
- Everything stands in files when a process is started, in the page cache, and goes to a receiver in C on loopback,
  which took {sink:,.0f} events/s from a sender that does nothing else. Every line is accounted for by its number.
- The agent parses, validates, gives ids, commits cursors and reads the answers. rsyslog (imfile; omelasticsearch's bulk
  POSTs, or omfwd over TCP) and syslog-ng (http()) are Debian's; they pass the raw line on. The script is
  [bench/naive.py](../bench/naive.py): decode, POST; it remembers nothing.
- Events/s count from the start of the process to the last receipt; CPU is user and system of the process, start-up and
  end included.
"""


def write(results: dict[str, Any], folder: Path) -> Path:
    """Write the page, the pictures and the figures into ``folder``; return the page."""
    pictures = folder / "benchmarks"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    parts = [HEAD.format(machine=results["machine"], sink=results["sink_events_per_second"])]
    for scenario in results["scenarios"]:
        how = f"`./dev bench all --only {scenario['name']}`, runs: {scenario['runs']}"
        parts.append(f"\n## {scenario['title']}\n\n{how}\n\n{_table(scenario)}")
        for name in scenario["plot"]:
            picture = _picture(scenario, name)
            if picture:
                (pictures / f"{scenario['name']}-{name}.svg").write_text(picture)
                alternative = f"{scenario['title']}: {FIGURES[name].label}"
                parts.append(f"\n![{alternative}](benchmarks/{scenario['name']}-{name}.svg)\n")
    page = folder / "benchmarks.md"
    page.write_text("".join(parts))
    (folder / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
    return page


def _table(scenario: dict[str, Any]) -> str:
    contestants = scenario["contestants"]
    names = [name for name in FIGURES if any(name in figures for figures in contestants.values())]
    rows = [
        "| | " + " | ".join(FIGURES[name].label for name in names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for who, figures in contestants.items():
        cells = [_cell(figures[name], FIGURES[name].digits) if name in figures else "" for name in names]
        rows.append(f"| {NAMES.get(who, who)} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _cell(figure: dict[str, float], digits: int) -> str:
    low, median, high = (_text(figure[name], digits) for name in ("min", "median", "max"))
    return median if low == high else f"{median} ({low} to {high})"


def _text(value: float, digits: int) -> str:
    if not digits and value >= 10_000:
        value = round(value, -3) if value >= 100_000 else round(value, -2)
    return f"{value:,.{digits}f}"


def _picture(scenario: dict[str, Any], name: str) -> str | None:
    rows = [
        plot.Bar(
            label=NAMES.get(who, who),
            median=figure["median"],
            low=figure["min"],
            high=figure["max"],
            text=_text(figure["median"], FIGURES[name].digits),
            own=who in OWN,
        )
        for who, figures in scenario["contestants"].items()
        if (figure := figures.get(name))
    ]
    return plot.bars(FIGURES[name].label, rows) if len(rows) > 1 else None
