"""One run: write, rotate and do harm; mend everything and wait; judge; print what there is to say."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.torture.faults import Step, all_faults, plan
from tests.torture.judge import Truth, false_alarms, judge, levels, log_findings, missing, shared
from tests.torture.pusher import NAME
from tests.torture.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STUCK_SECONDS = 60.0
"""Nothing arrived for so long: what is missing then will not come."""
LIVE_SECONDS = 20.0
"""A fresh line has to be everywhere by then: seconds on an idle host, more on a busy one."""
RSS_BUDGET = 256 << 20
"""Three lanes of at most 8 MiB in queues, Python, and what allocators keep."""
_STATE_RECOVERS_SECONDS = 10.0
"""After a full disk: until then the agent may still end because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which faults are done; empty: all."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def allow(self, name: str) -> bool:
        """Tell whether the fault is among them."""
        return (not self.only or any(t in name for t in self.only)) and not any(t in name for t in self.without)


class Storm:
    """Does the steps of the plan when their time has come, and mends them."""

    def __init__(self, scene: Scene, steps: list[Step]) -> None:
        """Do nothing yet."""
        self._scene = scene
        self._steps = steps
        self._open: dict[str, tuple[Step, float, float]] = {}
        """Fault → its step, when it began (unix), when it is to be mended (seconds after the beginning)."""

    def tick(self, elapsed: float) -> None:
        """Do what is due."""
        for name, (step, begun, until) in list(self._open.items()):
            if elapsed >= until:
                del self._open[name]
                self._mend(step, begun)
        while self._steps and elapsed >= self._steps[0].at:
            self._begin(self._steps.pop(0), elapsed)
        self._scene.agent.tick()

    def end(self) -> None:
        """Mend everything."""
        self._steps = []
        self.tick(float("inf"))

    def _begin(self, step: Step, elapsed: float) -> None:
        fault, journal = step.fault, self._scene.journal
        if fault.name in self._open:
            return
        journal.note(f"begin {fault.name}" if fault.mend else fault.name)
        journal.count(fault.name)
        begun = time.time()
        fault.begin(step.chance)
        if fault.mend:
            self._open[fault.name] = (step, begun, elapsed + step.seconds)
        elif fault.explains:
            journal.cause(fault.name, begun, fault.destination)

    def _mend(self, step: Step, begun: float) -> None:
        assert step.fault.mend is not None
        step.fault.mend()
        self._scene.journal.note(f"mend {step.fault.name}")
        if step.fault.explains:
            self._scene.journal.cause(step.fault.name, begun, step.fault.destination)


def torture(folder: Path, seed: int, seconds: float, *, limits: Limits) -> list[str]:
    """Run for ``seconds`` below ``folder``; print the summary, and return what is wrong."""
    scene = Scene(folder, seed)
    try:
        if scene.disk.why_not:
            print(f"!!! NOT DONE: disk full. A small file system cannot be mounted here: {scene.disk.why_not}")
        faults = [fault for fault in all_faults(scene) if limits.allow(fault.name)]
        storm = Storm(scene, list(plan(faults, seed, seconds)))
        with scene.pusher:
            scene.start()
            _write(scene, storm, seed, seconds)
        found = _settle(scene)
        for finding in found:
            print(f"FINDING: {finding}")
        _summary(scene)
    finally:
        scene.close()
        if scene.disk.mounted:
            shutil.copytree(scene.disk.folder, folder / "state-at-the-end", ignore=shutil.ignore_patterns("filler"))
        scene.disk.close()
    return found


def _write(scene: Scene, storm: Storm, seed: int, seconds: float) -> None:
    chance = random.Random(f"{seed} writing")
    begun = time.monotonic()
    full_until = 0.0
    while (elapsed := time.monotonic() - begun) < seconds:
        for log in chance.sample(scene.logs, 4):
            log.write(chance.randrange(20))
            if chance.random() < 0.02 and (done := log.rotate()):
                scene.journal.note(f"rotated {log.name} {done}")
                scene.journal.count(f"rotate {done.split()[0]}")
        storm.tick(elapsed)
        full_until = elapsed + _STATE_RECOVERS_SECONDS if scene.disk.is_full() else full_until
        scene.agent.may_fail = elapsed < full_until
        time.sleep(0.02)
    storm.end()


def _settle(scene: Scene) -> list[str]:
    """Wait until everything has arrived, see that it is still alive, and judge."""
    truth = Truth(logs={log.name: log for log in scene.logs}, pusher=scene.pusher)
    scene.journal.note("everything is mended")
    scene.mended = time.monotonic()
    scene.settings.clear()  # small transactions are slow
    scene.configure()
    scene.agent.reload()
    _drain(scene, truth)
    scene.journal.note("a fresh line")
    for log in scene.logs:
        log.write(1)
    fresh = [(log.name, log.written - 1) for log in scene.logs]
    if scene.agent.running():
        fresh.append((NAME, scene.pusher.post_one()))
    took = _until(scene, lambda: all(seen.has(line) for seen in scene.seen for line in fresh), LIVE_SECONDS)
    found = [] if took is not None else [f"not alive: fresh lines are not everywhere within {LIVE_SECONDS} s"]
    print(f"fresh lines were everywhere within {took or LIVE_SECONDS:.1f} s")
    if not scene.agent.running() or scene.agent.stop():
        found.append(f"it did not end with exit code 0 at the end: {scene.agent.said()[-2000:]}")
    scene.look()
    for seen in scene.seen:
        found += judge(truth, seen, scene.journal)
    found += shared(scene.seen)
    found += log_findings(scene.agent.log())
    if not scene.journal.did["members deleted"] and not scene.journal.did["pattern-away"]:
        found += false_alarms(scene.agent.log())
    if scene.agent.peak_rss > RSS_BUDGET:
        found.append(f"{scene.agent.peak_rss >> 20} MiB of memory; {RSS_BUDGET >> 20} MiB are allowed")
    return scene.journal.findings + found


def _drain(scene: Scene, truth: Truth) -> None:
    """Wait until nothing is missing anywhere, for as long as anything arrives."""
    scene.look()
    left = [(seen, missing(truth, seen)) for seen in scene.seen]
    counts, since = [len(lines) for _, lines in left], time.monotonic()
    while any(counts) and time.monotonic() - since < STUCK_SECONDS:
        time.sleep(0.5)
        scene.agent.tick()
        scene.look()
        left = [(seen, [line for line in lines if not seen.has(line)]) for seen, lines in left]
        before, counts = counts, [len(lines) for _, lines in left]
        since = since if counts == before else time.monotonic()
    for seen, lines in left:
        if lines:
            scene.journal.finding(f"{seen.name}: nothing came for {STUCK_SECONDS} s; {len(lines)} missing: {lines[:5]}")
    print(f"everything was everywhere {time.monotonic() - scene.mended:.0f} s after the last fault was mended")


def _until(scene: Scene, condition: Callable[[], bool], seconds: float) -> float | None:
    """Wait for ``condition()``; return the seconds it took, None when it took too long."""
    begun = time.monotonic()
    while True:
        scene.agent.tick()
        scene.look()
        if condition():
            return time.monotonic() - begun
        if time.monotonic() - begun > seconds:
            return None
        time.sleep(0.2)


def _summary(scene: Scene) -> None:
    did = scene.journal.did
    written = sum(log.written for log in scene.logs)
    pushed = scene.pusher
    print(
        f"lines: {written} written, {len(pushed.taken)} posted ({len(pushed.unsure - pushed.taken)} without an answer)"
    )
    for seen in scene.seen:
        print(f"{seen.name}: {len(seen.first)} received, {len(seen.again)} twice, {len(seen.rejected)} in rejects")
    rotations = {name.removeprefix("rotate "): n for name, n in did.items() if name.startswith("rotate ")}
    faults = {name: n for name, n in did.items() if not name.startswith("rotate ") and name != "members deleted"}
    print(f"rotations: {sum(rotations.values())}: {dict(sorted(rotations.items()))}")
    receivers = sum(did[f"{name}-kill"] for name in scene.receivers)
    print(f"members deleted once delivered: {did['members deleted']}")
    print(f"kills: {did['kill'] + did['kill-stay-down']} of the agent, {receivers} of receivers")
    print(f"faults: {sum(faults.values())}: {dict(sorted(faults.items()))}")
    print(f"log: {dict(sorted(levels(scene.agent.log()).items()))}")
    print(f"peak RSS {scene.agent.peak_rss >> 20} MiB of {RSS_BUDGET >> 20} MiB; {scene.agent.starts} starts")
