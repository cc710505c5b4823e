"""Python's own rolling handlers for real; the names that log4j and logback give."""

from __future__ import annotations

import gzip
import logging
import logging.handlers
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.follower import Follower

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    (tmp_path / "state").mkdir()
    (tmp_path / "logs").mkdir()
    made = Follower(tmp_path / "state", tmp_path / "logs" / "*.log")
    yield made
    made.close()


def write(handler: logging.Handler, text: str) -> None:
    handler.emit(logging.LogRecord("a", logging.INFO, "a.py", 1, text, None, None))


@pytest.mark.parametrize("stopped", [False, True])
def test_pain_5_every_line_through_a_rotating_file_handler(follower: Follower, tmp_path: Path, stopped: bool) -> None:
    handler = logging.handlers.RotatingFileHandler(tmp_path / "logs" / "app.log", maxBytes=100, backupCount=60)
    for number in range(200):
        write(handler, f"line {number}, about twenty bytes")
        if number % 40 == 20:
            follower.poll()
            if stopped:
                follower.restart()
    handler.close()
    follower.poll()
    assert len(list((tmp_path / "logs").iterdir())) > 30
    assert sorted(follower.received.messages) == sorted(f"line {n}, about twenty bytes" for n in range(200))
    assert follower.later() == []


@pytest.mark.parametrize("when", ["S", "M", "H", "midnight", "W0"])
def test_every_line_through_a_timed_rotating_file_handler(follower: Follower, tmp_path: Path, when: str) -> None:
    handler = logging.handlers.TimedRotatingFileHandler(tmp_path / "logs" / "app.log", when=when)
    texts = []
    for day in range(5):
        for number in range(3):
            texts.append(f"day {day} line {number}")
            write(handler, texts[-1])
        if day == 2:
            follower.poll()
            follower.restart()
        handler.rolloverAt -= handler.interval * (7 - day)  # its time has come: each rollover has a date of its own
        handler.doRollover()
    handler.close()
    follower.poll()
    assert len(list((tmp_path / "logs").iterdir())) > 5
    assert sorted(follower.received.messages) == sorted(texts)
    assert follower.later() == []


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize(
    "names",
    [
        ["app-1.log", "app-2.log", "app-3.log"],
        ["app.1.log", "app.2.log", "app.3.log"],
        ["app.2026-01-01.0.log", "app.2026-01-01.1.log", "app.2026-01-02.0.log"],
        ["app-2026-01-01-1.log.gz", "app-2026-01-01-2.log.gz", "app-2026-01-02-1.log.gz"],
        ["app-01-31-2026-1.log.gz", "app-01-31-2026-2.log.gz", "app-02-01-2026-1.log.gz"],
        ["app.log.2026-01-01", "app.log.2026-01-02", "app.log.2026-01-03"],
        ["app.log.2026-01-01-13", "app.log.2026-01-01-14", "app.log.2026-01-01-15"],
        ["app-1.log.gz", "app-2.log.gz", "app-3.log.gz"],
    ],
)
def test_pain_7_the_names_of_log4j_and_logback_are_the_same_streams(
    follower: Follower, tmp_path: Path, names: list[str], stopped: bool
) -> None:
    live = tmp_path / "logs" / "app.log"
    texts = []
    for generation, name in enumerate(names):
        for number in range(3):
            texts.append(f"generation {generation} line {number}")
            with live.open("a") as file:
                file.write(texts[-1] + "\n")
            if number == 1:
                follower.poll()
                if stopped:
                    follower.stop()
        if name.endswith(".gz"):
            with live.open("rb") as source, gzip.open(live.with_name(name), "wb") as target:
                shutil.copyfileobj(source, target)
            live.unlink()
        else:
            live.rename(live.with_name(name))
        if stopped:
            follower.start()
        follower.later()
    assert follower.received.messages == texts
    assert follower.later() == []
