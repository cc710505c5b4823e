"""Everything that can happen to a log, in any order, against a model: no line is lost, none sent twice, no id reused.

The truth is the model's: the text of every file. A line may go missing only when the last file that held it was
truncated or deleted before it was read. Two machines share the rules. One kills the agent at any moment, and lines are
sent again then, with the same ids. The other begins every file with the same line, so that heads tell nothing.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
import structlog
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.support.follower import Follower

if TYPE_CHECKING:
    import unittest
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of files come and go; their log lines would bury the falsifying example."""
    with structlog.testing.capture_logs():
        yield


HEADER = "# the same first line in every file"


class Logs(RuleBasedStateMachine):
    """Files of one family, their model, and a follower."""

    header = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="logs-"))
        self.live = self.folder / "a.log"
        (self.folder / "state").mkdir()
        self.follower = Follower(self.folder / "state", self.folder / "*.log")
        self.files: dict[Path, str] = {}
        """Path → text, as it would be read; the live file and its rotated members."""
        self.numbers = 0
        self.lines: set[str] = set()
        """Every complete line ever written."""
        self.halves: set[str] = set()
        """Every text that ever stood at a file's end without a line feed."""
        self.may_miss: set[str] = set()
        self.may_repeat: set[str] = set()
        self.copying = False
        self.seen_live = False

    @initialize(start_early=st.booleans())
    def begin(self, *, start_early: bool) -> None:
        if start_early:
            self.follower.poll()

    # The program

    def _append(self, text: str) -> None:
        if self.header and not self.files.get(self.live):
            text = f"{HEADER}\n{text}"
        with self.live.open("a") as file:
            file.write(text)
        content = self.files[self.live] = self.files.get(self.live, "") + text
        *complete, half = content.split("\n")
        self.lines.update(complete)
        if half:
            self.halves.add(half)

    @rule(count=st.integers(1, 4), wide=st.sampled_from([0, 0, 0, 3000]))
    def write(self, count: int, wide: int) -> None:
        for _ in range(count):
            self.numbers += 1
            self._append(f"line {self.numbers}{'.' * wide}{self.numbers}\n")

    @rule()
    def write_half(self) -> None:
        self.numbers += 1
        self._append(f"half {self.numbers} ")

    # The rotation

    def _members(self) -> list[Path]:
        return sorted((p for p in self.files if p != self.live), key=_number, reverse=True)

    def _shift(self) -> None:
        for member in self._members():
            self._move(member, member.with_name(f"a.log.{_number(member) + 1}{'.gz' * (member.suffix == '.gz')}"))

    def _move(self, source: Path, target: Path) -> None:
        source.rename(target)
        self.files[target] = self.files.pop(source)

    def _confuse(self) -> None:
        """Note what may be sent twice where all files begin alike: of unread ones, one in another's place, by its inode
        too, cannot be told from it. Nothing may be lost all the same.
        """
        if self.header:
            lines = {line for text in self.files.values() for line in text.split("\n")}
            if (lines | self.lines) - {""} - set(self.follower.received.messages):
                self.may_repeat |= lines

    def _destroy(self, path: Path) -> None:
        """Note which lines are nowhere any more without having been read."""
        self._confuse()
        content = self.files.pop(path)
        kept = {line for text in self.files.values() for line in text.split("\n")}
        self.may_miss.update(set(content.split("\n")) - kept - set(self.follower.received.messages))

    @precondition(lambda self: self.live in self.files and not self.copying)
    @rule()
    def rotate_by_rename(self) -> None:
        self._shift()
        self._move(self.live, self.live.with_name("a.log.1"))
        self.seen_live = False

    @precondition(lambda self: self.files.get(self.live) and self.seen_live and not self.copying)
    @rule()
    def copy(self) -> None:
        self._shift()
        target = self.live.with_name("a.log.1")
        self._confuse()
        shutil.copyfile(self.live, target)
        self.files[target] = self.files[self.live]
        self.copying = True

    @precondition(lambda self: self.live in self.files)
    @rule()
    def truncate(self) -> None:
        os.truncate(self.live, 0)
        self._destroy(self.live)
        self.files[self.live] = ""
        self.copying = self.seen_live = False

    @precondition(lambda self: self.files.get(self.live) and not self.copying)
    @rule()
    def copy_truncate(self) -> None:
        seen = self.seen_live
        self.seen_live = True
        self.copy()
        self.truncate()
        self.seen_live = seen and False

    @precondition(lambda self: self.files.get(self.live))
    @rule(count=st.integers(1, 5))
    def truncate_and_regrow(self, count: int) -> None:
        self.truncate()
        self.write(count, 0)

    @precondition(lambda self: self.live in self.files and not self.copying)
    @rule()
    def delete(self) -> None:
        self.live.unlink()
        self._destroy(self.live)
        self.seen_live = False

    @precondition(lambda self: self._members() and not self.copying)
    @rule()
    def delete_oldest(self) -> None:
        oldest = self._members()[0]
        oldest.unlink()
        self._destroy(oldest)

    @precondition(lambda self: not self.copying and any(p.suffix != ".gz" for p in self._members()))
    @rule()
    def compress_oldest(self) -> None:
        member = next(p for p in self._members() if p.suffix != ".gz")
        target = member.with_name(f"{member.name}.gz")
        self._confuse()
        status = member.stat()
        with member.open("rb") as source, gzip.open(target, "wb") as packed:
            shutil.copyfileobj(source, packed)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        member.unlink()
        self.files[target] = self.files.pop(member)

    # The agent

    @rule()
    def look(self) -> None:
        self.follower.look()
        self.seen_live = "\n" in self.files.get(self.live, "")

    @rule(blocks=st.integers(1, 3))
    def read(self, blocks: int) -> None:
        self.follower.read(blocks)

    @rule()
    def commit(self) -> None:
        self.follower.commit()

    @rule()
    def poll(self) -> None:
        self.look()
        self.follower.read()
        self.follower.commit()

    @rule()
    def let_time_pass(self) -> None:
        self.follower.clock.ahead += 20

    @rule()
    def restart(self) -> None:
        self.follower.restart()
        self.seen_live = False

    def teardown(self) -> None:
        try:
            for _ in range(4):
                self.follower.later()
            self._judge()
            self.follower.restart()
            assert self.follower.later() == [], "sent again after an orderly restart"
        finally:
            self.follower.close()
            shutil.rmtree(self.folder)

    def _judge(self) -> None:
        events = [
            (text, i) for text, i in zip(self.follower.received.messages, self.follower.received.ids, strict=True)
        ]
        texts = [text for text, _id in events]
        live = self.files.get(self.live, "")
        ended = [text for path, text in self.files.items() if path != self.live and not live.startswith(text)]
        last = {text.rsplit("\n", 1)[-1] for text in ended}
        stripped = set(texts)
        assert stripped <= self.lines | self.halves, "foreign"
        last -= {half for half in last for text in stripped if text.startswith(half)}  # completed after it was copied
        missing = (self.lines | last) - stripped - self.may_miss - {""}
        assert not missing, f"lost: {sorted(missing)}"
        ids: dict[str, str] = {}
        for text, unique_id in events:
            assert ids.setdefault(unique_id, text) == text, "two lines share an id"
        counts = Counter(texts)
        repeated = {text for text, count in counts.items() if count > 1 and text != HEADER}
        assert repeated <= self.may_repeat, f"sent twice: {sorted(repeated - self.may_repeat)}"
        assert len(ids) == len({*texts}) or self.header, "a line has two ids"


class Killed(Logs):
    """The agent may be killed at any moment."""

    @rule()
    def crash(self) -> None:
        self.may_repeat.update(self.follower.received.messages)
        self.follower.crash()
        self.seen_live = False


class SameHeads(Logs):
    """Every file begins with the same line."""

    header = True


def _number(member: Path) -> int:
    return int(member.name.removesuffix(".gz").rsplit(".", 1)[1])


def _case(machine: type[Logs]) -> type[unittest.TestCase]:
    """The same examples at every run; ``MACHINE_EXAMPLES`` looks for new ones, as many as it says."""
    case: type[unittest.TestCase] = machine.TestCase
    wanted = os.environ.get("MACHINE_EXAMPLES")
    case.settings = settings(
        max_examples=int(wanted or 150), stateful_step_count=30, deadline=None, derandomize=wanted is None
    )
    return case


TestLogsWhenTheAgentIsKilled = _case(Killed)
TestLogsThatAllBeginAlike = _case(SameHeads)
