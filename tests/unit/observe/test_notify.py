"""The sd_notify protocol over real sockets."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from agent.observe import notify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A manager's socket, and the environment it gives to its service."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@audit-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1))
        receiver.settimeout(30)
        yield receiver, {"NOTIFY_SOCKET": name}


def test_each_message_reaches_the_manager(manager: tuple[socket.socket, dict[str, str]]) -> None:
    receiver, environ = manager
    sent = {
        "READY=1\nSTATUS=3 sources": lambda: notify.ready("3 sources", environ=environ),
        "READY=1": lambda: notify.ready(environ=environ),
        "STOPPING=1": lambda: notify.stopping(environ=environ),
        "STATUS=a b": lambda: notify.status("a\nb", environ=environ),
        "WATCHDOG=1": lambda: notify.watchdog(environ=environ),
        "EXTEND_TIMEOUT_USEC=1500000": lambda: notify.still_starting(1.5, environ=environ),
    }
    for message, send in sent.items():
        assert send()
        assert receiver.recv(4096).decode() == message


def test_a_reload_carries_the_monotonic_time(manager: tuple[socket.socket, dict[str, str]]) -> None:
    receiver, environ = manager
    assert notify.reloading(environ=environ)
    first, second = receiver.recv(4096).decode().splitlines()
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(value) > 0


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    assert not notify.ready(environ=environ)


def test_a_manager_that_does_not_listen_harms_nothing(tmp_path: Path) -> None:
    assert not notify.watchdog(environ={"NOTIFY_SOCKET": str(tmp_path / "nobody")})


def test_a_manager_that_does_not_read_blocks_nothing(manager: tuple[socket.socket, dict[str, str]]) -> None:
    _receiver, environ = manager
    for _ in range(10_000):
        if not notify.watchdog(environ=environ):
            return
    pytest.fail("the socket never filled")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval_is_read_from_the_environment(environ: dict[str, str], seconds: float | None) -> None:
    assert notify.watchdog_seconds(environ=environ) == seconds
