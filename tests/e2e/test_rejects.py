"""``audit-agent rejects`` as a process: refusals are listed, shown, sent again, dropped, bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.logwriter import LogWriter
from tests.support.processes import AgentProcess, command, wait_until, write_config
from tests.support.receiver import Receiver, Reply, Request, processed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Rig:
    """A log, a receiver, and a configuration that joins them."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.state = folder / "state"
        (folder / "logs").mkdir()
        self.writer = LogWriter(folder / "logs" / "app.log")
        self._folder = folder
        self.config = self.configure()

    def configure(self, *, max_events: int = 50, **agent: Any) -> Path:
        sink = {
            "name": "sink",
            "destination_type": "webhook",
            "location": self.receiver.url,
            "max_events_per_transaction": max_events,
            "delivery": {"retry": {"base": "100ms", "cap": "200ms", "probe": "200ms"}},
        }
        return write_config(
            self._folder / "config.yaml",
            agent={"state_dir": str(self.state), "shutdown_grace_seconds": 5, **agent},
            sources=[{"name": "app", "include": [f"{self._folder}/logs/*.log"]}],
            destinations=[sink],
        )

    def rejects(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command("rejects", action, "-c", str(self.config), *arguments)

    def listed(self, *conditions: str) -> list[dict[str, Any]]:
        done = self.rejects("list", "--json", *conditions)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def numbers(self) -> list[int]:
        """The numbers of the lines that are in rejects."""
        shown = self.rejects("show", "--json").stdout.splitlines()
        return sorted(json.loads(line)["event"]["event"]["n"] for line in shown)

    def refuse_all(self) -> None:
        self.writer.write(20)
        self.receiver.answer = refusing(lambda n: n < 20)
        assert command("run", "--once", "-c", str(self.config)).returncode == 1


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Receiver() as receiver:
        made = Rig(tmp_path, receiver)
        yield made
        made.writer.close()


def refusing(bad: Callable[[int], bool], message: str = "no such schema") -> Callable[[Request], Reply]:
    """Answer for each event: those whose number is ``bad`` are refused."""

    def answer(request: Request) -> Reply:
        refused = {each["unique_id"] for each in request.events() if bad(each["event"]["n"])}
        taken = [each for each in request.ids() if each not in refused]
        return Reply(200, processed(success=taken, discard=[(each, "drop_rejected", message) for each in refused]))

    return answer


def test_pain_29_what_was_refused_is_listed_with_its_reason_and_sent_again_while_the_agent_runs(rig: Rig) -> None:
    rig.receiver.answer = refusing(lambda n: n % 2 == 0)
    with AgentProcess(rig.config) as agent:
        rig.writer.write(20)
        wait_until(lambda: len(rig.listed()) == 10, what="ten rejects", on_timeout=agent.output)
        (first, *_) = rig.listed("--reason", "SCHEMA")
        assert (first["destination"], first["counter"]) == ("sink", "drop_rejected")
        assert "no such schema" in first["reason"]
        assert rig.numbers() == list(range(0, 20, 2))

        rig.receiver.answer = lambda _: Reply()
        before = rig.receiver.ids()
        done = rig.rejects("replay")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert "10 rejects: 10 accepted, 0 refused again, 0 not delivered" in done.stderr
        assert rig.listed() == []
        assert sum((rig.receiver.ids() - before).values()) == 10
        assert rig.receiver.ids().keys() == before.keys()  # the ids of the first time

        rig.receiver.answer = refusing(lambda n: n == 21)
        rig.writer.write(5)
        wait_until(lambda: len(rig.listed()) == 1, what="the agent's next reject", on_timeout=agent.output)
        assert agent.stop() == 0
    assert rig.numbers() == [21]


def test_pain_29_what_is_refused_again_stays_once_with_the_newest_reason(rig: Rig) -> None:
    rig.refuse_all()
    rig.receiver.answer = refusing(lambda n: n < 5, "still no such schema")
    done = rig.rejects("replay")
    assert done.returncode == 1
    assert "20 rejects: 15 accepted, 5 refused again, 0 not delivered" in done.stderr
    assert rig.numbers() == [0, 1, 2, 3, 4]
    assert all("still" in each["reason"] for each in rig.listed())


def test_what_is_sent_again_is_counted_in_the_metrics_of_the_agent_that_runs(rig: Rig) -> None:
    rig.refuse_all()
    text = rig.config.read_text().replace("listen: null", "listen: 127.0.0.1:0")
    rig.config.write_text(text)
    with AgentProcess(rig.config) as agent:
        agent.wait_for_output("admin_listening")
        said = [json.loads(line) for line in agent.output().splitlines() if '"admin_listening"' in line]
        url = said[-1]["url"].rstrip("/") + "/metrics"
        sample = 'audit_agent_rejects_replayed_events_total{destination="sink",outcome="%s"} %d.0'
        before = httpx.get(url, timeout=60).text
        assert sample % ("accepted", 0) in before
        rig.receiver.answer = refusing(lambda n: n < 5)
        assert rig.rejects("replay").returncode == 1
        rig.receiver.answer = lambda _: Reply()
        after = httpx.get(url, timeout=60).text
        assert sample % ("accepted", 15) in after
        assert sample % ("refused", 5) in after
        assert rig.rejects("replay").returncode == 0
        assert sample % ("accepted", 20) in httpx.get(url, timeout=60).text
        assert agent.stop() == 0


def test_rejects_of_a_renamed_destination_are_listed_as_such_and_go_to_its_new_name(rig: Rig) -> None:
    rig.refuse_all()
    text = rig.config.read_text()
    rig.config.write_text(text.replace('"sink"', '"sink two"').replace("name: sink", "name: sink two"))
    listed = rig.rejects("list", "--json")
    assert len(listed.stdout.splitlines()) == 20
    assert "20 are of 'sink', which is not configured any more" in listed.stderr
    assert "rejects replay --destination OLD --to NEW" in listed.stderr
    done = rig.rejects("replay")
    assert done.returncode == 1
    assert "sink: 20 not sent: no destination of this name is configured; --to names another one" in done.stderr

    rig.receiver.answer = refusing(lambda n: n < 5, "not by this name either")
    done = rig.rejects("replay", "--destination", "sink", "--to", "sink two")
    assert "20 rejects: 15 accepted, 5 refused again, 0 not delivered" in done.stderr
    assert {each["destination"] for each in rig.listed()} == {"sink two"}
    rig.receiver.answer = lambda _: Reply()
    assert rig.rejects("replay").returncode == 0
    assert rig.listed() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "sink"], "--to: found no --destination"),
        (["--destination", "sink", "--to", "sonk"], "--to: found 'sonk'; allowed: sink"),
    ],
)
def test_rejects_go_to_another_destination_only_when_both_are_named(rig: Rig, arguments: list[str], said: str) -> None:
    done = rig.rejects("replay", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_cannot_be_delivered_now_stays_as_it_was(rig: Rig) -> None:
    rig.refuse_all()
    before = rig.listed()
    rig.receiver.answer = lambda _: Reply(503)
    done = rig.rejects("replay", "--patience", "1s")
    assert done.returncode == 1
    assert "0 accepted, 0 refused again, 20 not delivered" in done.stderr
    assert "503" in done.stderr
    assert rig.listed() == before


def test_pain_29_a_kill_in_the_middle_of_a_replay_loses_no_reject(rig: Rig) -> None:
    rig.refuse_all()
    rig.configure(max_events=1)
    answered = 0

    def hang_after_seven(_: Request) -> Reply:
        nonlocal answered
        answered += 1
        return Reply(hang=answered > 7)

    already = len(rig.receiver.requests)
    rig.receiver.answer = hang_after_seven
    killed = subprocess.Popen([sys.executable, "-m", "agent.cli", "rejects", "replay", "-c", str(rig.config)])
    rig.receiver.wait_until(lambda receiver: len(receiver.requests) >= already + 8)
    killed.kill()
    killed.wait(60)
    taken = {
        each["event"]["n"] for request in rig.receiver.requests[already : already + 7] for each in request.events()
    }
    assert len(taken) == 7
    assert set(range(20)) - taken <= set(rig.numbers())
    rig.receiver.answer = lambda _: Reply()
    assert rig.rejects("replay").returncode == 0
    assert rig.listed() == []
    assert len(rig.receiver.ids()) == 20


def test_drop_takes_only_what_was_asked_for(rig: Rig) -> None:
    rig.refuse_all()
    one = rig.listed()[3]["unique_id"]
    assert rig.rejects("drop", "--id", one).returncode == 2  # nobody to ask, and no --yes
    assert len(rig.listed()) == 20
    done = rig.rejects("drop", "--id", one, "--yes")
    assert done.returncode == 0 and "1 rejects dropped" in done.stderr
    assert len(rig.listed()) == 19 and not rig.listed("--id", one)
    assert rig.rejects("drop", "--reason", "something else", "--yes").returncode == 0
    assert len(rig.listed()) == 19
    assert rig.rejects("drop", "--yes").returncode == 0
    assert rig.listed() == []


def test_rejects_are_shown_as_columns_as_counts_and_whole(rig: Rig) -> None:
    rig.refuse_all()
    lines = rig.rejects("list", "--limit", "3").stdout.splitlines()
    assert lines[0].split() == ["time", "destination", "counter", "status", "unique_id", "reason"]
    assert len(lines) == 4
    (count,) = (json.loads(line) for line in rig.rejects("list", "--summary", "--json").stdout.splitlines())
    assert (count["rejects"], count["destination"], count["counter"]) == (20, "sink", "drop_rejected")
    whole = rig.rejects("show", "--limit", "1").stdout
    assert '"n": 0' in whole and "no such schema" in whole
    assert rig.rejects("list", "--until", "1h ago").stdout == ""


def test_a_destination_that_does_not_exist_is_wrong_usage(rig: Rig) -> None:
    done = rig.rejects("list", "--destination", "sonk")
    assert done.returncode == 2
    assert "found 'sonk'; allowed: sink" in done.stderr
    assert not rig.state.exists()


def test_pain_13_at_the_bound_the_oldest_refused_events_go_loudly(rig: Rig) -> None:
    rig.configure(rejects_max_bytes="64KiB")
    rig.receiver.answer = refusing(lambda _: True, "no " * 300)
    rig.writer.write(400)
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 1
    dropped = [json.loads(line) for line in done.stderr.splitlines() if '"rejects_dropped"' in line]
    kept = rig.numbers()
    assert dropped and all(each["level"] == "error" and each["first"] <= each["last"] for each in dropped)
    assert sum(each["events"] for each in dropped) + len(kept) == 400
    assert kept == list(range(400 - len(kept), 400))  # the newest are there
    assert sum(path.stat().st_size for path in rig.state.rglob("*.jsonl")) <= 64 * 1024
