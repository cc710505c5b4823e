"""``python -m tests.torture --seed N --minutes M``: writes, rotates, kills, refuses, throttles; then judges.

Exit code 1 on a finding; the working folder is kept then.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.oracle import judge
from tests.support.processes import AgentProcess, write_config
from tests.support.receiver import Receiver, Reply, Request
from tests.torture.writers import Log

LOGS = 12
BAD = 997
"""Every so many lines one is refused for good, and has to be in the rejects."""
SETTLE_SECONDS = 120.0


class Torture:
    """One run."""

    def __init__(self, folder: Path, seed: int, receiver: Receiver) -> None:
        """Lay out logs and configuration below ``folder``."""
        self.chance = random.Random(seed)
        self.did: Counter[str] = Counter()
        self.taken: list[dict[str, object]] = []
        """Events that the receiver took: what it answered with an error does not count."""
        self.receiver = receiver
        self.folder = folder
        self.logs = []
        for number in range(LOGS):
            path = folder / "logs" / f"d{number % 3}" / f"app{chr(97 + number)}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.logs.append(Log(path, self.chance))
        delivery = {"retry": {"base": "50ms", "cap": "500ms", "probe": "200ms"}, "timeout": "3s"}
        self.archive = folder / "archive" / "audit.jsonl"
        config = write_config(
            folder / "config.yaml",
            agent={"state_dir": str(folder / "state"), "shutdown_grace_seconds": 2},
            sources=[{"name": "app", "include": [f"{folder}/logs/*/*.log"], "poll_interval": "1s"}],
            destinations=[
                {
                    "name": "sink",
                    "destination_type": "webhook",
                    "location": receiver.url,
                    "max_events_per_transaction": 200,
                    "delivery": delivery,
                },
                {"name": "archive", "destination_type": "file", "location": f"{self.archive}?max_backups=1000"},
            ],
        )
        self.agent = AgentProcess(config)
        self.healthy()

    def healthy(self) -> None:
        """Let the receiver answer as it should: some events are refused for good, some are wanted again."""
        self.receiver.answer = self._per_event

    def _per_event(self, request: Request) -> Reply:
        discard, again = [], []
        for event in request.events():
            if event["event"]["n"] % BAD == BAD - 1:
                discard.append({"unique_id": event["unique_id"], "status": "invalid"})
            elif self.chance.random() < 0.002:
                again.append({"unique_id": event["unique_id"], "status": "unprocessed"})
            else:
                self.taken.append(event)
        return Reply(201, {"success_events": [], "discard_events": discard, "retry_events": again})

    def fault(self) -> None:
        """Do one bad thing, or mend what was done."""
        name = self.chance.choice(
            (
                "kill",
                "kill",
                "stop",
                "refuse",
                "accept",
                "accept",
                "hang",
                "429",
                "503",
                "401",
                "cut",
                "healthy",
                "healthy",
            )
        )
        self.did[name] += 1
        match name:
            case "kill":
                self.agent.kill()
                self.agent.start()
            case "stop":
                self.agent.stop()
                self.agent.start()
            case "refuse":
                self.receiver.refuse()
            case "accept":
                self.receiver.accept()
            case "hang":
                self.receiver.answer = lambda _request: Reply(hang=True)
            case "429":
                self.receiver.answer = lambda _request: Reply(429, headers={"Retry-After": "1"})
            case "cut":
                self.receiver.answer = lambda _request: Reply(cut=True)
            case "healthy":
                self.healthy()
            case _:
                status = int(name)
                self.receiver.answer = lambda _request: Reply(status)

    def run(self, seconds: float) -> None:
        """Write, rotate and do harm for ``seconds``."""
        self.agent.start()
        end = time.monotonic() + seconds
        next_fault = time.monotonic() + 1
        while time.monotonic() < end:
            for log in self.chance.sample(self.logs, 4):
                log.write(self.chance.randrange(20))
                if self.chance.random() < 0.02:
                    self.did[f"rotate {log.rotate()}"] += 1
            time.sleep(0.01)
            if time.monotonic() > next_fault:
                self.fault()
                next_fault = time.monotonic() + self.chance.uniform(0.3, 2)

    def settle(self) -> list[str]:
        """Mend everything, wait, and return what is wrong."""
        self.receiver.accept()
        self.healthy()
        for log in self.logs:
            log.write(1)  # still alive
        truth = [line for log in self.logs for line in log.truth()]
        good = [line for line in truth if line[1] % BAD != BAD - 1]
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end:
            if not judge(good, self.taken).missing and not judge(truth, self._archived()).missing:
                break
            time.sleep(1)
        code = self.agent.stop()
        found = [f"exit code {code}"] if code else []
        for name, events in (("sink", self.taken), ("archive", self._archived())):
            verdict = judge(truth, events)
            kept = self._rejected() if name == "sink" else set()
            missing = [line for line in verdict.missing if line not in kept]
            if missing or verdict.foreign or verdict.renamed or verdict.shared:
                found.append(f"{name}: not even in rejects: {len(missing)} {missing[:3]}; {verdict}")
            print(f"{name}: {len(events)} received, {verdict.twice} twice, {len(kept)} in rejects")
        print(
            f"{len(truth)} lines, {sum(log.rotations for log in self.logs)} rotations, {dict(sorted(self.did.items()))}"
        )
        return found

    def _archived(self) -> list[dict[str, object]]:
        paths = sorted(self.archive.parent.glob("audit*.jsonl")) if self.archive.parent.is_dir() else []
        return [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n") if line.endswith(b"}")]

    def _rejected(self) -> set[tuple[str, int]]:
        files = (self.folder / "state" / "rejects").glob("*/*.jsonl")
        lines = (json.loads(line)["event"]["event"] for path in files for line in path.read_bytes().splitlines())
        return {(event["w"], event["n"]) for event in lines}


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--minutes", type=float, default=1.0)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    with Receiver() as receiver:
        torture = Torture(folder, arguments.seed, receiver)
        try:
            torture.run(arguments.minutes * 60)
            found = torture.settle()
        finally:
            torture.agent.kill()
            for log in torture.logs:
                log.close()
    for finding in found:
        print(f"FINDING: {finding}")
    if found:
        print(f"kept: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
