"""The command as a process: where it listens, how it ends, what survives."""

from __future__ import annotations

import random
import signal
import socket
import ssl
import stat
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.collector.calls import PATH, bulk, event, process
from tests.support.certificates import Authority
from tests.support.processes import command

if TYPE_CHECKING:
    from pathlib import Path


def head(length: int) -> bytes:
    """Return the head of a request that asks before it sends its body."""
    lines = (f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", "Expect: 100-continue", "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.usefixtures("each_database")
def test_a_kill_at_any_moment_loses_nothing_acknowledged_and_stores_nothing_twice(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    known_before: set[str] = set()
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)

    def send(url: str, client: int, round_: int) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            for number in range(100_000):
                names = [f"{client}.{round_}.{number}.{n}" for n in range(50)]
                try:
                    answer = http.post(PATH, content=bulk(*map(event, names)))
                except httpx.TransportError:
                    return
                assert answer.status_code == 201
                acknowledged.update(names)

    for round_ in range(4):
        with process(tmp_path) as collector:
            url = collector.url()
            senders = [threading.Thread(target=send, args=(url, client, round_)) for client in range(4)]
            for sender in senders:
                sender.start()
            before = len(acknowledged)
            end = time.monotonic() + 60
            while len(acknowledged) == before and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(chance.random() * 0.5)
            assert collector.end(signal.SIGKILL) == -signal.SIGKILL
            for sender in senders:
                sender.join(60)
            stored = collector.stored()
            assert len(stored) == len(set(stored))
            assert acknowledged <= set(stored), seed
            assert known_before <= set(stored), seed
            known_before = set(stored)
    with process(tmp_path) as collector, collector.client() as http:
        names = sorted(acknowledged)[:5000]
        answer = http.post(PATH, content=bulk(*map(event, names))).json()
        assert [entry["unique_id"] for entry in answer["success_events"]] == names


def test_sigterm_finishes_the_requests_under_way(tmp_path: Path) -> None:
    body = bulk(event("a"))
    with process(tmp_path) as collector:
        host, port = collector.url().removeprefix("http://").split(":")
        idle = socket.create_connection((host, int(port)), timeout=60)
        with idle, socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head(len(body)))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # so it has begun
            collector.process.send_signal(signal.SIGTERM)
            while "collector_stopping" not in collector.output():
                time.sleep(0.01)
            connection.sendall(body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
        assert collector.process.wait(60) == 0
        assert collector.stored() == ["a"]


def test_a_request_that_does_not_end_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with process(tmp_path) as collector:
        host, port = collector.url().removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(head(100))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            assert collector.end(signal.SIGINT) == 0
            assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")
        assert "collector_stopped" in collector.output()
        assert "Traceback" not in collector.output()


def test_it_serves_on_a_unix_socket_and_takes_over_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    for number in range(2):
        with process(tmp_path, "--listen", f"unix:{path}") as collector:
            assert collector.url() == f"unix:{path}"
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            transport = httpx.HTTPTransport(uds=str(path))
            with httpx.Client(transport=transport, base_url="http://localhost", timeout=60) as client:
                assert client.post(PATH, content=bulk(event(f"n{number}"))).status_code == 201
            second = command("collector", "--listen", f"unix:{path}", "--database", ":memory:")
            assert (second.returncode, "Traceback" in second.stderr) == (1, False)
            assert "cannot listen" in second.stderr
            collector.end(signal.SIGTERM if number else signal.SIGKILL)
            assert path.exists() == (number == 0)


def test_it_serves_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("server")
    context = ssl.create_default_context(cafile=str(authority.ca))
    with process(tmp_path, "--tls-cert", str(pair.cert), "--tls-key", str(pair.key)) as collector:
        assert collector.url().startswith("https://127.0.0.1:")
        with collector.client(verify=context) as client:
            assert client.post(PATH, content=bulk(event("a"))).status_code == 201
        assert collector.end() == 0
        assert collector.stored() == ["a"]


def test_half_of_a_key_pair_is_wrong_usage_and_a_bad_one_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    usual = ("collector", "--listen", "127.0.0.1:0", "--database", ":memory:")
    assert command(*usual, "--tls-cert", str(bad)).returncode == 2
    for file in (bad, tmp_path / "missing.pem"):
        done = command(*usual, "--tls-cert", str(file), "--tls-key", str(file))
        assert done.returncode == 1
        assert "TLS certificate or key" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with process(tmp_path) as collector:
        listen = collector.url().removeprefix("http://")
        done = command("collector", "--listen", listen, "--database", ":memory:")
        assert done.returncode == 1
        assert f"cannot listen on {listen}" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, however long it may become " * 100)
    (tmp_path / "file").touch()
    for database in (tmp_path / "text.db", tmp_path / "file" / "c.db", tmp_path):
        done = command("collector", "--listen", "127.0.0.1:0", "--database", str(database))
        assert done.returncode == 1
        assert str(database) in done.stderr
        assert "Traceback" not in done.stderr
