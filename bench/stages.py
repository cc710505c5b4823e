"""Where the time of the bulk job goes: CPU per million events of each stage by itself, and of the whole program.

A stage is given what the stage before it made, over and over, in this process; so caches are warm and the sum is what
the job cannot fall below in this shape. The rest of the whole is what lies between the stages: the loop, the queue,
cursors, statistics, and memory that is no longer in a cache. Best of some rounds.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec

from agent.app import memory
from agent.config.load import load
from agent.destinations.webhook import Webhook
from agent.encoders.agilicus import encode
from agent.events import Slice, Transaction
from agent.parsers.base import Common
from agent.parsers.json_lines import JsonLines
from agent.state.marks import Marks
from agent.streams.lines import CHUNK_BYTES
from bench import common

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.parsers.base import Parsed

BYTES = 365
STREAM = "0123456789abcdef0123456789abcdef"
CREATED = "2026-05-04T12:00:00.000000Z"
COMMON = Common(
    members={
        "hostname": "host-1",
        "source_id": "0123456789abcdef",
        "source_org_id": "",
        "source_type": "host-agent",
        "source_name": "bench",
    }
)
"""The members a file source adds."""


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the whole program's job")
    parser.add_argument("--per-transaction", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(common.machine(), file=sys.stderr)
    memory.tune()
    with tempfile.TemporaryDirectory() as name, common.sink() as sink:
        figures = _stages(Path(name), sink, arguments.per_transaction, arguments.rounds)
        figures |= _whole(Path(name), sink, arguments.lines, arguments.per_transaction, arguments.rounds)
    named = ("start", "read", "validate", "wrap", "encode", "send", "settle")
    figures["rest"] = figures["whole"] - sum(figures[stage] for stage in named)
    common.report(
        {f"{stage}: CPU seconds per million": value for stage, value in figures.items()}, as_json=arguments.json
    )
    return 0


def _stages(folder: Path, sink: common.Sink, per: int, rounds: int) -> dict[str, float]:
    per = min(per, CHUNK_BYTES // BYTES)  # a larger one spans several chunks, which is no stage of its own
    count = CHUNK_BYTES // BYTES // per * per
    chunk = b"".join(common.line(n, BYTES) for n in range(count))
    parser = JsonLines(COMMON)
    parsed: Parsed = parser.parse(chunk, stream=STREAM, start=1 << 30, create_time=CREATED)
    transactions = [_transaction(parsed, first, per, (1 << 30) + len(chunk)) for first in range(0, count, per)]
    plain = msgspec.json.Decoder(msgspec.defstruct("Nothing", [], gc=False))
    source = folder / "chunk"
    source.write_bytes(chunk)
    descriptor = os.open(source, os.O_RDONLY)
    marks = Marks(folder / "marks")

    def settle() -> None:
        for transaction in transactions:
            marks.put(STREAM, transaction.slices[-1].end)

    def parse() -> Parsed:
        return parser.parse(chunk, stream=STREAM, start=1 << 30, create_time=CREATED)

    best = partial(_best, events=count, rounds=rounds)
    figures = {
        "read": best(lambda: os.pread(descriptor, CHUNK_BYTES, 0)),
        "validate": best(lambda: plain.decode_lines(chunk)),
        "wrap": best(parse),
        "encode": best(lambda: [encode(t) for t in transactions]),
        "settle": best(settle),
    }
    figures["wrap"] -= figures["validate"]
    os.close(descriptor)
    config = common.configuration(folder, include=str(source), urls=[sink.url], per_transaction=per)
    sent = anyio.run(_sent, config, transactions, rounds, backend_options={"use_uvloop": True})
    figures["send"] = sent / count * 1e6 - figures["encode"]
    sink.verdict()
    return figures


async def _sent(config: Path, transactions: Sequence[Transaction], rounds: int) -> float:
    """Return the CPU seconds of one attempt for each of ``transactions``, encoding included."""
    webhook = Webhook(load(str(config)).destinations[0])
    found = []
    for _ in range(rounds * 20):
        began = time.process_time()
        for transaction in transactions:
            answer = await webhook.attempt(transaction)
            if answer.pending or answer.rejected:
                raise RuntimeError(f"the sink did not accept everything: {answer}")
        found.append(time.process_time() - began)
    await webhook.aclose()
    return min(found)


def _whole(folder: Path, sink: common.Sink, lines: int, per: int, rounds: int) -> dict[str, float]:
    """Return what the whole program takes, and how much of it is starting and ending."""
    found: dict[str, list[float]] = {"whole": [], "start": []}
    for name, count in (("start", 1), ("whole", lines)):
        log = folder / f"{name}.log"
        common.write_lines(log, count, BYTES)
        for number in range(rounds):
            fresh = folder / f"{name}{number}"
            fresh.mkdir()
            config = common.configuration(fresh, include=str(log), urls=[sink.url], per_transaction=per)
            found[name].append(common.measured(common.agent("run", "--once", "-c", str(config))).cpu_seconds)
            if sink.verdict()["distinct"] != count:
                raise RuntimeError("not every line was received")
    return {name: min(seconds) / lines * 1e6 for name, seconds in found.items()}


def _transaction(parsed: Parsed, first: int, per: int, end: int) -> Transaction:
    last = first + per
    stop = parsed.offsets[last] if last < len(parsed.offsets) else end
    piece = Slice(stream=STREAM, offsets=parsed.offsets[first:last], end=stop)
    return Transaction(bodies=parsed.bodies[first:last], slices=[piece])


def _best(work: Callable[[], object], *, events: int, rounds: int) -> float:
    """Return the CPU seconds per million events of ``work``."""
    found = []
    for _ in range(rounds * 20):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found) / events * 1e6


if __name__ == "__main__":
    sys.exit(main())
