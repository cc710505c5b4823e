"""``python -m tests.mutations``: breaks the promises one at a time in a copy of the tree; each must fail its tests.

Exits 1 when a broken promise goes unnoticed, or when a mutation does not fit the code any more.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__")


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One promise, how to break it, and the tests that must notice."""

    promise: str
    file: str
    old: str
    new: str
    tests: str


MUTATIONS = (
    Mutation(
        promise="a cursor moves only past what is settled",
        file="agent/lane/acks.py",
        old="if first.pending < first.end:",
        new="if False:",
        tests="tests/unit/lane/test_acks.py",
    ),
    Mutation(
        promise="the tail mark tells a regrown file from the old one",
        file="agent/streams/places.py",
        old="def mark_before(",
        new="def mark_before(content, offset):\n    return digest(b'')\n\n\ndef _mark_before(",
        tests="tests/unit/sources/test_following.py",
    ),
    Mutation(
        promise="Retry-After holds the destination",
        file="agent/lane/retry.py",
        old="def hold(self, seconds: float)",
        new="def hold(self, seconds: float) -> None:\n        return\n\n    def _hold(self, seconds: float)",
        tests="tests/pipeline",
    ),
    Mutation(
        promise="a 401 drops nothing",
        file="agent/destinations/verdict.py",
        old="if status == HTTPStatus.BAD_REQUEST:",
        new="if status in (400, 401):",
        tests="tests/unit/destinations/test_webhook_table.py",
    ),
    Mutation(
        promise="rejects are on disk before a cursor passes them",
        file="agent/lane/delivery.py",
        old="while answer.rejected and not await self._keep(part, answer):",
        new="while answer.rejected and not await self._keep(part, answer) and False:",
        tests="tests/pipeline",
    ),
    Mutation(
        promise="an event keeps its id",
        file="agent/streams/identity.py",
        old="parts = (agent, source, family, head.hex(), str(generation))",
        new="import os\n\n    parts = (agent, source, family, head.hex(), str(os.getpid()))",
        tests="tests/e2e/test_backfill.py tests/unit/streams/test_identity.py",
    ),
    Mutation(
        promise="a destination that cannot be built harms no other",
        file="agent/app/lanes.py",
        old="except ValueError as error:",
        new="except ZeroDivisionError as error:",
        tests="tests/e2e/test_run.py",
    ),
    Mutation(
        promise="a partial last line waits",
        file="agent/streams/lines.py",
        old="if not final:\n            return None",
        new="if False:\n            return None",
        tests="tests/unit/streams/test_lines.py tests/unit/sources/test_following.py",
    ),
    Mutation(
        promise="an unknown filter lets nothing through",
        file="agent/filters.py",
        old="if each.filter_type not in _MATCHERS:\n            return False",
        new="if each.filter_type not in _MATCHERS:\n            return True",
        tests="tests/unit/test_filters.py",
    ),
    Mutation(
        promise="an attempt that raises counts nothing as sent",
        file="agent/lane/delivery.py",
        old="answer = all_pending(part, Failure(kind=Kind.RAISED, reason=raised))",
        new="answer = Answer()",
        tests="tests/pipeline",
    ),
    Mutation(
        promise="rotated files that are still needed are held",
        file="agent/app/keep.py",
        old="if not isinstance(content, Plain | Compressed):",
        new="if True:",
        tests="tests/e2e/test_hold.py",
    ),
    Mutation(
        promise="memory is bounded by what is not settled",
        file="agent/lane/queue.py",
        old="while self.used and self.used",
        new="while False and self.used",
        tests="tests/unit/lane/test_queue.py tests/pipeline",
    ),
    Mutation(
        promise="the collector acknowledges nothing before it is durable",
        file="agent/collector/store/commit.py",
        old="job.error = error",
        new="job.error = None",
        tests="tests/collector",
    ),
    Mutation(
        promise="the spool acknowledges nothing before the disk has it",
        file="agent/streams/spool.py",
        old="self._sync(self._descriptor)",
        new="pass",
        tests="tests/unit/streams/test_spool.py",
    ),
    Mutation(
        promise="the spool is bounded, and at the bound the sender waits",
        file="agent/streams/spool.py",
        old="if self.used + size <= self.max_bytes:",
        new="if True:",
        tests="tests/unit/streams/test_spool.py",
    ),
    Mutation(
        promise="a spool segment stays until the last destination has it",
        file="agent/sources/spooled.py",
        old=" or not past(stream):",
        new=":",
        tests="tests/e2e/test_push.py",
    ),
    Mutation(
        promise="a reload lets go of no spool that a replaced destination needs",
        file="agent/app/agent.py",
        old="return None if self._reloading.locked() else self._outputs.all_feeds()",
        new="return self._outputs.all_feeds()",
        tests="tests/e2e/test_push.py",
    ),
    Mutation(
        promise="a posted event keeps its id",
        file="agent/events.py",
        old="return _NAMED.decode(body).unique_id",
        new="return made",
        tests="tests/unit/parsers tests/e2e/test_push.py",
    ),
    Mutation(
        promise="secrets are masked",
        file="agent/config/secrets.py",
        old="def __repr__(self)",
        new="def __repr__(self):\n        return self._text\n\n    def _repr(self)",
        tests="tests/unit/config tests/contract",
    ),
    Mutation(
        promise="rejects are fsynced",
        file="agent/lane/rejects/writer.py",
        old="self._sync(descriptor)",
        new="pass",
        tests="tests/unit/lane",
    ),
    Mutation(
        promise="a spool segment goes only behind cursors that are on disk",
        file="agent/app/sweep.py",
        old="await anyio.to_thread.run_sync(self._make_durable)",
        new="pass",
        tests="tests/unit/app/test_sweep.py",
    ),
    Mutation(
        promise="a hold stays until the last destination is past it",
        file="agent/app/keep.py",
        old="if name not in needs:",
        new="if True:",
        tests="tests/unit/app/test_keep.py tests/e2e/test_hold.py",
    ),
    Mutation(
        promise="a poison event is isolated",
        file="agent/lane/delivery.py",
        old="if failure.kind in (Kind.TOO_LARGE, Kind.POISON, Kind.RAISED):",
        new="if failure.kind is Kind.TOO_LARGE:",
        tests="tests/pipeline/test_delivery.py",
    ),
    Mutation(
        promise="a destination that raises at everything rejects nothing",
        file="agent/lane/suspects.py",
        old="return index in self._given_up or",
        new="return True or",
        tests="tests/pipeline/test_raising.py",
    ),
    Mutation(
        promise="nobody comes back before Retry-After is over",
        file="agent/lane/retry.py",
        old="return wait + random",
        new="return wait - random",
        tests="tests/unit/lane/test_retry.py tests/pipeline/test_delivery.py",
    ),
    Mutation(
        promise="a stop ends every wait and sends nothing early",
        file="agent/lane/retry.py",
        old="            if stop.is_set():\n                return False",
        new="            if stop.is_set():\n                return True",
        tests="tests/unit/lane/test_retry.py tests/pipeline/test_stop.py",
    ),
    Mutation(
        promise="an inode that is used again is another file",
        file="agent/streams/decide.py",
        old="return self._looks.continues(stream, place, first_bytes(place))",
        new="return True",
        tests="tests/unit/sources/test_following.py",
    ),
    Mutation(
        promise="a compressed request expands only to its limit",
        file="agent/receive/body.py",
        old="if size > settings.max_expanded_bytes:",
        new="if False:",
        tests="tests/collector/test_limits.py",
    ),
    Mutation(
        promise="a compressed answer expands only to its limit",
        file="agent/gunzip.py",
        old="self._member.decompress(data, STEP_BYTES)",
        new="self._member.decompress(data)",
        tests="tests/unit/destinations/test_webhook_connection.py",
    ),
    Mutation(
        promise="a damaged state is set aside, not trusted",
        file="agent/state/database.py",
        old="        check(db)\n",
        new="",
        tests="tests/unit/state",
    ),
    Mutation(
        promise="events still pending are sent again",
        file="agent/lane/delivery.py",
        old="left = [group[i] for i in answer.pending]",
        new="left: list[int] = []",
        tests="tests/pipeline/test_delivery.py",
    ),
)


def main() -> int:
    """Try every mutation, or those whose promise contains an argument; return the exit code."""
    chosen = [m for m in MUTATIONS if not sys.argv[1:] or any(word in m.promise for word in sys.argv[1:])]
    unnoticed = 0
    for mutation in chosen:
        with tempfile.TemporaryDirectory() as name:
            tree = Path(name) / "tree"
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
            said = _try(tree, mutation)
        unnoticed += said != "noticed"
        print(f"{said:<10} {mutation.promise}", flush=True)
    print(f"{len(chosen) - unnoticed} of {len(chosen)} broken promises were noticed")
    return 1 if unnoticed else 0


def _try(tree: Path, mutation: Mutation) -> str:
    path = tree / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        return "UNFIT"
    path.write_text(text.replace(mutation.old, mutation.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests.split()]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode not in {0, 1}:  # no test ran, or pytest itself failed
        return "UNFIT"
    return "UNNOTICED" if done.returncode == 0 else "noticed"


if __name__ == "__main__":
    sys.exit(main())
