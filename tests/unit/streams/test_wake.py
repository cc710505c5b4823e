"""Doorbells that can ring: what happens while nobody waits, folders that come and go, waits that are given up."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
import structlog

from agent.streams.wake import doorbell
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.streams.wake import Doorbell

pytestmark = pytest.mark.anyio

PATIENCE = 60


@pytest.fixture(params=["inotify", "watchfiles"])
def bell(request: pytest.FixtureRequest) -> Iterator[Doorbell]:
    made = doorbell(request.param)
    yield made
    made.close()


async def paths(bell: Doorbell, *wanted: Path) -> None:
    """Wait until the bell has told of all ``wanted``, or that anything may have changed."""
    missing = {str(path) for path in wanted}
    with anyio.fail_after(PATIENCE):
        while missing:
            found = await bell.rung()
            if found is None:
                return
            missing -= found


async def test_what_happens_while_nobody_waits_rings_at_the_next_wait(bell: Doorbell, tmp_path: Path) -> None:
    bell.watch([str(tmp_path)])
    for number in range(5):
        (tmp_path / str(number)).write_text("x")
        await anyio.sleep(0.3)
    await paths(bell, *(tmp_path / str(number) for number in range(5)))


async def test_a_wait_that_is_given_up_ends_at_once_and_loses_nothing(bell: Doorbell, tmp_path: Path) -> None:
    bell.watch([str(tmp_path)])
    for _ in range(20):
        with anyio.move_on_after(0.01):
            await bell.rung()
            pytest.fail("nothing has happened")
    for number in range(50):
        (tmp_path / str(number)).write_text("x")
    missing = {str(tmp_path / str(number)) for number in range(50)}
    with anyio.fail_after(PATIENCE):
        while missing:
            with anyio.move_on_after(0.01):
                missing -= await bell.rung() or set()


async def test_a_folder_that_is_added_is_watched_and_one_left_out_is_not(bell: Doorbell, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    bell.watch([str(one), str(tmp_path / "none")])
    bell.watch([str(one), str(two)])
    (two / "a").write_text("x")
    await paths(bell, two / "a")
    bell.watch([str(two)])
    with anyio.move_on_after(0.5):
        while True:
            await bell.rung()  # what is left of before
    (one / "b").write_text("x")
    (two / "c").write_text("x")
    with anyio.fail_after(PATIENCE):
        while str(two / "c") not in (found := await bell.rung() or set()):
            assert str(one / "b") not in found


async def test_a_folder_that_went_away_and_came_back_is_watched_again(bell: Doorbell, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    bell.watch([str(tmp_path), str(logs)])
    logs.rmdir()
    await paths(bell, logs)
    bell.watch([str(tmp_path), str(logs)])
    logs.mkdir()
    await paths(bell, logs)
    bell.watch([str(tmp_path), str(logs)])
    (logs / "a").write_text("x")
    await paths(bell, logs / "a")


async def test_a_folder_that_was_made_anew_before_anybody_looked_is_watched(bell: Doorbell, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    bell.watch([str(tmp_path), str(logs)])
    logs.rmdir()
    logs.mkdir()
    await paths(bell, logs)
    bell.watch([str(tmp_path), str(logs)])
    (logs / "a").write_text("x")
    missing = {str(logs / "a")}
    with anyio.fail_after(PATIENCE):
        while missing:
            missing -= await bell.rung() or set()


def test_watching_ends_with_the_bell(tmp_path: Path) -> None:
    def left() -> tuple[int, int]:
        watchers = sum(thread.name == "watchfiles" for thread in threading.enumerate())
        return watchers, len(list(Path("/proc/self/fd").iterdir()))

    watchers, descriptors = left()
    bell = doorbell("watchfiles")
    bell.watch([str(tmp_path)])
    assert left()[0] == watchers + 1
    bell.close()
    wait_until(lambda: left() <= (watchers, descriptors))


async def test_a_bell_without_watches_left_says_so_once_and_never_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", refuse)
    bell = doorbell("watchfiles")
    with structlog.testing.capture_logs() as logs:
        bell.watch([str(tmp_path)])
        bell.watch([str(tmp_path)])
    bell.close()
    assert [(line["event"], line["log_level"]) for line in logs] == [("watch_failed", "warning")]
