"""One stream's lines against what arrived of it. Pure: chunk by chunk, both in the order of their offsets."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from agent.events import Block
    from agent.reconcile.report import StreamReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What became of an event whose id does not follow from where it stands."""

    copies: int | None
    """At the receiver; None when it cannot be asked for such an id."""
    rejected: bool


class Judge:
    """Takes the blocks of one stream in order; the outcome is in ``report``."""

    def __init__(
        self,
        report: StreamReport,
        *,
        arrived: array[int],
        sent: Callable[[str], bool],
        rejected: Collection[int],
        skips_start: bool,
    ) -> None:
        """``arrived`` are the offsets at the receiver, ascending, each as often as it is there.

        ``sent`` tells whether the destination's filters let a subsystem pass; ``rejected`` are the offsets it refused.
        ``skips_start``: lines before the first one that was sent may have been left out on purpose.
        """
        self.report = report
        self._arrived = arrived
        self._sent = sent
        self._rejected = rejected
        self._skipping = skips_start
        self._at = 0

    def begin(self, offset: int) -> int:
        """Leave out what is before ``offset``, whose bytes are not here; return how many events arrived of it."""
        self._at = bisect_left(self._arrived, offset)
        return self._at

    def take(self, block: Block, *, whole: bool = True, named: Mapping[int, Named] | None = None) -> None:
        """Judge one block; ``whole`` false when its last line has no end yet.

        ``named`` are, by offset, the events whose ids programs gave.
        """
        after = bisect_left(self._arrived, block.end, self._at)
        got, self._at = self._arrived[self._at : after], after
        counts = self.report.counts
        counts["events"] += len(block.offsets)
        self.report.read_to = block.end
        if got == array("Q", block.offsets):
            counts["arrived"] += len(got)
            self._skipping = self._skipping and not got
            return
        times = Counter(got)
        refused = self._rejected
        if named:
            times.update({offset: each.copies for offset, each in named.items() if each.copies is not None})
            refused = {offset for offset in block.offsets if _refused(offset, named, self._rejected)}
        ends = [*block.offsets[1:], block.end]
        kinds = block.log_types
        for index, (offset, end) in enumerate(zip(block.offsets, ends, strict=True)):
            if copies := times.pop(offset, 0):
                counts["arrived"] += 1
                self._skipping = False
                if copies > 1:
                    self.report.add("duplicate", offset, end, copies - 1)
            elif not self._sent(kinds if isinstance(kinds, str) else kinds[index]):
                counts["filtered"] += 1
            else:
                kind = self._absent(offset, refused=offset in refused, whole=whole or end < block.end)
                if kind in {"missing", "skipped"} and named and _unknown(offset, named):
                    kind = "unchecked"
                self.report.add(kind, offset, end)
        for offset in sorted(times):
            self.report.add("foreign", offset, offset + 1, times[offset])

    def _absent(self, offset: int, *, refused: bool, whole: bool) -> str:
        """Say what became of a line that passes the filters and is not at the receiver."""
        if refused:
            self._skipping = False
            return "rejected"
        cursor = self.report.cursor
        if not whole if cursor is None else offset >= cursor:
            return "not_sent"
        return "skipped" if self._skipping else "missing"

    def finish(self, *, certain: bool = True) -> int:
        """Judge what arrived from beyond the last line; return how many when that is not ``certain``."""
        rest = self._arrived[self._at :]
        self._at = len(self._arrived)
        if not certain:
            return len(rest)
        for offset, copies in sorted(Counter(rest).items()):
            self.report.add("foreign", offset, offset + 1, copies)
        return 0


def _unknown(offset: int, named: Mapping[int, Named]) -> bool:
    own = named.get(offset)
    return own is not None and own.copies is None


def _refused(offset: int, named: Mapping[int, Named], offsets: Collection[int]) -> bool:
    own = named.get(offset)
    return own.rejected if own else offset in offsets
