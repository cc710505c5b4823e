"""A large file to a local HTTP receiver, as fast as it goes: ``run --once`` against the script anybody would write.

The two take turns; medians are given. Every run is judged: each line received exactly once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import common


def main() -> int:
    """Measure and report; 1 when a line was not received exactly once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=365, help="of one line")
    parser.add_argument("--per-transaction", type=int, default=500)
    parser.add_argument("--destinations", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--no-script", action="store_true", help="only the agent")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    runs: dict[str, list[common.Usage]] = {"agent": [], "script": []}
    wrong = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        log = folder / "bulk.log"
        common.write_lines(log, arguments.lines, arguments.bytes)
        sinks = [stack.enter_context(common.sink()) for _ in range(arguments.destinations)]
        for number in range(arguments.runs):
            fresh = folder / f"run{number}"
            fresh.mkdir()
            config = common.configuration(
                fresh, include=str(log), urls=[s.url for s in sinks], per_transaction=arguments.per_transaction
            )
            runs["agent"].append(common.measured(common.agent("run", "--once", "-c", str(config))))
            wrong += [told for s in sinks if (told := _judge(s, arguments.lines))]
            if not arguments.no_script:
                script = [sys.executable, "bench/naive.py", str(log), sinks[0].url, str(arguments.per_transaction)]
                runs["script"].append(common.measured(script))
                wrong += [told for s in sinks[:1] if (told := _judge(s, arguments.lines))]
    common.report(_figures(runs, arguments.lines), as_json=arguments.json)
    for told in wrong:
        print(f"WRONG: {told}", file=sys.stderr)
    return 1 if wrong else 0


def _judge(sink: common.Sink, lines: int) -> str:
    told = sink.verdict()
    if told["events"] == told["distinct"] == lines:
        return ""
    return f"{lines} lines written, {told['events']} received, {told['distinct']} distinct"


def _figures(runs: dict[str, list[common.Usage]], lines: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    for who, used in runs.items():
        if used:
            figures[f"{who}: events per second"] = lines / common.median([u.wall_seconds for u in used])
            figures[f"{who}: CPU seconds per million"] = common.median([u.cpu_seconds for u in used]) / lines * 1e6
            figures[f"{who}: peak RSS, MB"] = max(u.peak_rss_mb for u in used)
    if runs["script"]:
        pairs = list(zip(runs["agent"], runs["script"], strict=True))
        figures["throughput, agent to script"] = common.median([s.wall_seconds / a.wall_seconds for a, s in pairs])
        figures["CPU, script to agent"] = common.median([s.cpu_seconds / a.cpu_seconds for a, s in pairs])
    return figures


if __name__ == "__main__":
    sys.exit(main())
