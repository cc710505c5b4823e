"""One shape of most scenarios: a number of lines, in files, through a shipper, to sinks that account for each line.

``Job`` says what; ``run`` does it once with one contestant and returns its figures:

- ``events_per_second``: lines by the time from the start of the process to the last receipt
- ``steady_events_per_second``: the same from the first receipt on, without start-up
- ``cpu_per_million``: user and system seconds of the process, start-up and end included, for a million lines
- ``peak_rss_mb``; ``lost`` and ``twice``: lines not received, and receipts beyond the first
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import common, peers, sinks
from bench.lines import Input
from bench.process import Process, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Figures = dict[str, float]

QUIET_SECONDS = 15.0
"""A peer that delivered nothing for so long is taken to have ended."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A scenario of this shape."""

    name: str
    title: str
    input: Input = field(default_factory=Input)
    per_transaction: int = 500
    destinations: int = 1
    to: str = "http"
    """``http``, ``https`` or ``file``."""
    command: tuple[str, ...] = ("run", "--once")
    source: Mapping[str, Any] = field(default_factory=dict)
    destination: Mapping[str, Any] = field(default_factory=dict)
    delivery: Mapping[str, Any] = field(default_factory=dict)
    retry_percent: int = 0
    passed: float = 1.0
    """The share of the lines that is to arrive."""
    contestants: tuple[str, ...] = ("agent",)
    plot: tuple[str, ...] = ("events_per_second", "cpu_per_million")

    def small(self) -> Job:
        """Return the same with a fifth of the lines."""
        return replace(self, input=replace(self.input, lines=self.input.lines // 5))

    def run(self, who: str, inputs: Path) -> Figures | None:
        """Let ``who`` do the job once; None, with a line that says why, when it is not to be had here."""
        include = self.input.write(inputs)
        with tempfile.TemporaryDirectory() as name, self._receiving(Path(name)) as receiving:
            folder = Path(name)
            if who == "agent":
                process = Process(self._agent(folder, include, receiving))
                used = process.wait()
            elif (command := peer(who, folder, include, receiving[0], self.per_transaction)) is None:
                return None
            elif who.startswith("script"):
                process = Process(command.arguments)
                used = process.wait()
            else:
                process = Process(command.arguments, environment=command.environment, log=folder / "peer.log")
                used = self._followed(process, receiving[0])
            told = [self._verdict(folder, s) for s in receiving]
        return self._figures(told, used, process.began)

    @contextmanager
    def _receiving(self, folder: Path) -> Iterator[list[sinks.Sink]]:
        with ExitStack() as stack:
            if self.to == "https":
                pair = certificate(folder)
                yield [stack.enter_context(sinks.tls_sink(*pair))]
                return
            encoded = folder / "encoded.gz" if self.delivery.get("gzip") else None
            yield [
                stack.enter_context(sinks.sink(retry_percent=self.retry_percent, encoded=encoded))
                for _ in range(self.destinations)
            ]

    def _agent(self, folder: Path, include: str, receiving: list[sinks.Sink]) -> list[str]:
        urls = [s.url for s in receiving]
        delivery = dict(self.delivery)
        if self.to == "file":
            (folder / "out").mkdir()
            urls = [f"file://{folder}/out/audits.log?max_size=100GiB"]
        if self.to == "https":
            delivery["tls"] = {"ca_file": str(folder / "ca.pem")}
        config = common.configuration(
            folder,
            include=include,
            urls=urls,
            per_transaction=self.per_transaction,
            delivery=delivery,
            source=self.source,
            destination=self.destination,
        )
        return common.agent(*self.command, "-c", str(config))

    def _followed(self, process: Process, receiving: sinks.Sink) -> Usage:
        """Wait until a daemon has delivered everything, or nothing for a while; then end it."""
        before, changed = -1, time.monotonic()
        while process.running() and time.monotonic() - changed < QUIET_SECONDS:
            told = receiving.stats()
            if told["distinct"] >= self.input.lines:
                break
            if told["events"] != before:
                before, changed = told["events"], time.monotonic()
            time.sleep(0.05)
        return process.stop()

    def _verdict(self, folder: Path, receiving: sinks.Sink) -> dict[str, Any]:
        if self.to != "file":
            return receiving.verdict()
        return sinks.scan(sorted((folder / "out").iterdir())) | {"first": 0.0, "last": 0.0}

    def _figures(self, told: list[dict[str, Any]], used: Usage, began: float) -> Figures:
        lines, expected = self.input.lines, round(self.input.lines * self.passed)
        first, last = min(t["first"] for t in told), max(t["last"] for t in told)
        figures = {
            "events_per_second": lines / (last - began if last else used.wall_seconds),
            "cpu_per_million": used.cpu_seconds / lines * 1e6,
            "peak_rss_mb": used.peak_rss_mb,
            "lost": float(sum(expected - t["distinct"] for t in told)),
            "twice": float(sum(t["twice"] for t in told)),
        }
        if last > first:
            figures["steady_events_per_second"] = lines / (last - first)
        return figures


def peer(
    who: str, folder: Path, include: str, receiving: sinks.Sink, per_transaction: int, *, flush_ms: int = 10
) -> peers.Command | None:
    """Return the command of a peer or of the script; None when it is not to be had here, which has then been said."""
    if who in ("script", "script-orjson"):
        module = "orjson" if who == "script-orjson" else "json"
        if importlib.util.find_spec(module) is None:
            print(f"bench: {who} is left out: {module} is not installed", file=sys.stderr)
            return None
        arguments = [sys.executable, "bench/naive.py", include, receiving.url, str(per_transaction), module]
        return peers.Command(arguments=arguments, environment={})
    root = peers.unpacked("syslog-ng" if who == "syslog-ng" else "rsyslog")
    if root is None:
        return None
    told = {"include": include, "port": receiving.port, "per_transaction": per_transaction}
    if who == "syslog-ng":
        return peers.syslog_ng(root, folder, flush_ms=flush_ms, **told)
    return peers.rsyslog(root, folder, output=who.removeprefix("rsyslog-"), **told)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write ``ca.pem`` and a certificate for loopback into ``folder``; return the latter and its key."""
    from tests.support.certificates import Authority

    pair = Authority(folder).sign("sink")
    return pair.cert, pair.key
