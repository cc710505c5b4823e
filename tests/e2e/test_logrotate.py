"""Debian's logrotate in all its modes, while the agent runs and while it is stopped: every line once."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.logwriter import LogWriter
from tests.support.oracle import judge
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.oracle import Verdict

ROUNDS = 4
_COPY = "copytruncate"


@dataclass(frozen=True, kw_only=True)
class Mode:
    """What stands in logrotate's configuration, and what the program does after a rotation."""

    directives: str
    late: bool = False
    """The program writes on to the renamed file for a while before it opens its log anew."""
    scripted: bool = False
    """It only opens its log anew when the postrotate script tells it to."""
    daily: bool = False
    """The rotated name says the day alone, so that there is one rotation."""


MODES = {
    "create": Mode(directives="create", late=True),
    "nocreate": Mode(directives="nocreate", late=True),
    "copytruncate": Mode(directives="copytruncate"),
    "copytruncate-compress": Mode(directives="copytruncate compress"),
    "copytruncate-delaycompress": Mode(directives="copytruncate compress delaycompress"),
    "copytruncate-dateext": Mode(directives="copytruncate dateext dateformat -%Y%m%d-%s"),
    "compress": Mode(directives="create compress"),
    "compress-xz": Mode(directives="create compress compresscmd /usr/bin/xz compressext .xz"),
    "compress-zstd": Mode(directives="create compress compresscmd /usr/bin/zstd compressoptions -q compressext .zst"),
    "delaycompress": Mode(directives="create compress delaycompress", late=True),
    "delaycompress-zstd": Mode(
        directives="create compress delaycompress compresscmd /usr/bin/zstd compressoptions -q compressext .zst",
        late=True,
    ),
    "dateext-once-a-day": Mode(directives="create dateext", daily=True),
    "dateext-seconds": Mode(directives="create compress dateext dateformat -%Y%m%d-%s"),
    "dateext-epoch": Mode(directives="create compress dateext dateformat .%s"),
    "dateext-clock": Mode(directives="create compress delaycompress dateext dateformat .%Y-%m-%d_%H-%M-%S", late=True),
    "dateext-day-first": Mode(directives="create compress dateext dateformat -%d%m%Y", daily=True),
    "extension-dateext": Mode(directives="create compress extension .log dateext dateformat -%Y%m%d-%s"),
    "extension-numbers": Mode(directives="create extension .log", late=True),
    "extension-numbers-compress": Mode(directives="create compress extension .log"),
    "olddir": Mode(directives="create olddir old createolddir", late=True),
    "olddir-compress": Mode(directives="create olddir old createolddir compress"),
    "olddir-delaycompress": Mode(directives="create olddir old createolddir compress delaycompress", late=True),
    "olddir-copytruncate": Mode(directives="copytruncate olddir old createolddir compress"),
    "sharedscripts": Mode(directives="create compress delaycompress sharedscripts", late=True, scripted=True),
}


class Rotated:
    """One program with its log, in a folder of its own."""

    def __init__(self, folder: Path, name: str, mode: Mode) -> None:
        self.mode = mode
        self.folder = folder / name
        self.folder.mkdir()
        self.writer = LogWriter(self.folder / "app.log", writer=name)
        self.told = self.folder / "reopen"
        self.options = _one_a_line(mode.directives)
        if mode.scripted:
            self.options += f"\npostrotate\n  touch {self.told}\nendscript"

    def configuration(self) -> str:
        return f"{self.folder}/app.log {{\nrotate 100\n{self.options}\n}}\n"

    def after(self) -> None:
        """What the program does once logrotate is through."""
        if _COPY in self.mode.directives:
            return
        if self.mode.late:
            self.writer.write(3)
        if not self.mode.scripted or self.told.exists():
            self.told.unlink(missing_ok=True)
            self.writer.reopen()


def _one_a_line(directives: str) -> str:
    """Return logrotate's directives one a line; an argument stays with its directive."""
    takes_one = {"dateformat", "extension", "olddir", "compresscmd", "compressext", "compressoptions"}
    lines: list[str] = []
    for word in directives.split():
        if lines and lines[-1] in takes_one:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


class Host:
    """Every mode's program, one agent for all of them, and what arrived."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.folder = folder
        logs = folder / "logs"
        logs.mkdir()
        self.rotated = {name: Rotated(logs, name, mode) for name, mode in MODES.items()}
        self.agent = AgentProcess(
            write_config(
                folder / "config.yaml",
                agent={"state_dir": str(folder / "state"), "log_level": "debug"},
                sources=[{"name": "app", "include": [f"{logs}/**/*.log"]}],
                destinations=[{"name": "sink", "destination_type": "webhook", "location": receiver.url}],
            )
        )
        for name, rotated in self.rotated.items():
            self._conf(name).write_text(rotated.configuration())

    def _conf(self, name: str) -> Path:
        return self.folder / f"{name}.conf"

    def rotate(self) -> None:
        """Run logrotate for every program."""
        program = shutil.which("logrotate", path="/usr/sbin:/usr/bin:/sbin:/bin")
        assert program, "these tests need Debian's logrotate: apt-get install logrotate"
        for name, rotated in self.rotated.items():
            if rotated.mode.daily and len(list(rotated.folder.iterdir())) > 1:
                continue
            done = subprocess.run(
                [program, "-f", "-s", str(self.folder / f"{name}.status"), str(self._conf(name))],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            rotated.after()

    def write(self) -> None:
        for rotated in self.rotated.values():
            rotated.writer.write(5)

    def verdict(self, name: str) -> Verdict:
        written = [(name, n) for n in range(self.rotated[name].writer.written)]
        return judge(written, [e for e in self.receiver.events() if e["event"]["w"] == name])

    def wait_for_all(self) -> None:
        """Wait until every line is there."""
        wanted = sum(rotated.writer.written for rotated in self.rotated.values())

        def missing() -> str:
            return (
                str({n: str(v) for n in self.rotated if (v := self.verdict(n)).missing}) + self.agent.output()[-3000:]
            )

        wait_until(lambda: len(set(self.receiver.ids())) >= wanted, what="every line", on_timeout=missing)

    def go(self) -> None:
        """Start the agent, and wait until it has looked at every file."""
        before = self.agent.output().count("agent_started")
        self.agent.start()
        wait_until(
            lambda: self.agent.output().count("agent_started") > before, what="a start", on_timeout=self.agent.output
        )

    def stop(self) -> None:
        assert self.agent.stop() == 0, self.agent.output()


@pytest.fixture(scope="module", params=["running", "stopped"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host on which every program's log was rotated several times while the agent was ``param``."""
    with Receiver() as receiver:
        host = Host(tmp_path_factory.mktemp(request.param), receiver)
        try:
            host.go()
            for number in range(ROUNDS):
                host.write()
                if number % 2:
                    host.wait_for_all()
                if request.param == "stopped" and number:
                    host.stop()
                    host.write()
                time.sleep(1.1)  # names with the second in them must differ
                host.rotate()
                host.write()
                if request.param == "stopped" and number:
                    time.sleep(1.1)
                    host.rotate()
                    host.write()
                    host.go()
            host.wait_for_all()
            host.stop()
            host.go()  # what was taken for a copy is still known for one
            host.write()
            host.wait_for_all()
            time.sleep(3)
            host.stop()
            yield host
        finally:
            host.agent.kill()
            for rotated in host.rotated.values():
                rotated.writer.close()


@pytest.mark.limit(240)
@pytest.mark.parametrize("name", MODES)
def test_pain_7_every_line_arrives_once_through_logrotate(host: Host, name: str) -> None:
    members = sorted(path.name for path in host.rotated[name].folder.rglob("*app*"))
    assert len(members) > 1, members
    verdict = host.verdict(name)
    assert verdict and verdict.twice == 0, f"{verdict} {members}"
