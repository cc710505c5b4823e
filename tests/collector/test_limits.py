"""What is too large, too slow or too much, and connections that are no good."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from agent.serve import serving
from tests.collector.calls import PATH, bulk, collecting, event, process
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

pytestmark = pytest.mark.anyio

MIB = 1 << 20


async def in_parts(body: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def raw(url: str, *parts: bytes, then_close: bool = False) -> bytes:
    """Send bytes over a connection of their own; return what comes until the other side closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        if then_close:
            return b""
        answer = b""
        try:
            while more := connection.recv(65536):
                answer += more
        except ConnectionResetError:
            pass
        return answer


def head(length: int, *more: str) -> bytes:
    lines = (f"POST {PATH} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused_and_the_answer_arrives(chunked: bool) -> None:
    async with collecting(max_body_bytes=MIB) as c:
        body = b" " * (3 * MIB)
        answer = await c.post(in_parts(body) if chunked else body)
        assert answer.status_code == 413
        assert answer.json()["error_code"] == "body"
        assert (await c.post(bulk(event("a")))).status_code == 201


async def test_a_body_without_end_is_cut_off() -> None:
    async with collecting(max_body_bytes=MIB) as c:

        def endless() -> bool:
            host, port = c.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=60) as connection:
                connection.sendall(head(10**12))
                try:
                    while True:
                        connection.sendall(b" " * 65536)
                except ConnectionError:
                    return True

        assert await anyio.to_thread.run_sync(endless)


async def test_a_client_that_asks_first_is_refused_before_it_sends() -> None:
    async with collecting(max_body_bytes=MIB) as c:
        answer = await anyio.to_thread.run_sync(raw, c.url, head(2 * MIB, "Expect: 100-continue"))
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_too_many_events_are_refused_for_the_sender_to_split() -> None:
    async with collecting(max_events=3) as c:
        assert (await c.post(bulk(*map(event, "abcd")))).status_code == 413
        assert (await c.post(bulk(*map(event, "abc")))).status_code == 201


async def test_a_body_just_within_the_limits_is_taken() -> None:
    body = bulk(event("a", event={"x": "y" * 100_000}))
    packed = gzip.compress(body)
    async with collecting(max_body_bytes=len(body), max_expanded_bytes=len(body)) as c:
        assert (await c.post(packed, headers={"Content-Encoding": "gzip"})).status_code == 201
        assert (await c.post(body)).status_code == 201
    async with collecting(max_expanded_bytes=len(body) - 1) as c:
        assert (await c.post(packed, headers={"Content-Encoding": "gzip"})).status_code == 413


async def test_members_count_together_and_are_not_endless() -> None:
    body = bulk(event("a", event={"x": "y" * 100_000}))
    packed = gzip.compress(body[:50_000]) + gzip.compress(body[50_000:])
    headers = {"Content-Encoding": "gzip"}
    async with collecting(max_body_bytes=MIB, max_expanded_bytes=len(body)) as c:
        assert (await c.post(packed, headers=headers)).status_code == 201
        assert (await c.post(packed + gzip.compress(b" "), headers=headers)).status_code == 413
        assert (await c.post(gzip.compress(b"") * 20_000, headers=headers)).status_code == 400


def test_a_gzip_bomb_is_refused_without_taking_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (400 * MIB))
    assert len(bomb) < MIB
    with process(tmp_path) as collector, collector.client() as client:
        headers = {"Content-Encoding": "gzip"}
        assert [client.post(PATH, content=bomb, headers=headers).status_code for _ in range(3)] == [413] * 3
        status = Path(f"/proc/{collector.process.pid}/status").read_text()
        peak_kib = int(status.split("VmHWM:")[1].split()[0])
        assert peak_kib < 250 * 1024
        assert client.post(PATH, content=bulk(event("a"))).status_code == 201


async def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    async with collecting(body_timeout_seconds=0.2) as c:
        answer = await anyio.to_thread.run_sync(raw, c.url, head(100), b'{"events":')
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.split(b"\r\n\r\n")[1])["error_code"] == "body"


async def test_a_client_that_goes_away_within_its_request_leaves_nothing() -> None:
    async with collecting(max_waiting_bytes=1000) as c:
        body = bulk(*(event(f"a{n}") for n in range(20)))
        for _ in range(20):
            await anyio.to_thread.run_sync(lambda: raw(c.url, head(len(body)), body[:900], then_close=True))
        assert await c.lists(bulk(event("z"))) == ({}, {})
        assert c.store.ids() == ["z"]


async def test_more_than_may_be_held_is_asked_to_come_again_later() -> None:
    body = bulk(event("a", event={"x": "y" * 5000}))
    async with collecting(max_waiting_bytes=8000) as c:
        host, port = c.url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as slow:
            await slow.send(head(len(body)) + body[:4000])
            for _ in range(1000):
                answer = await c.post(bulk(event("b", event={"x": "y" * 5000})))
                if answer.status_code != 201:  # else the slow one has not been read yet
                    break
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 10
            await slow.send(body[4000:])
            assert (await slow.receive()).startswith(b"HTTP/1.1 201 ")
        assert (await c.post(bulk(event("c", event={"x": "y" * 5000})))).status_code == 201


async def test_fifty_clients_at_once_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    async with collecting(str(tmp_path / "c.db")) as c:
        duplicates: list[int] = []

        async def send(client: int) -> None:
            for number in range(5):
                own = (event(f"{client}.{number}.{n}") for n in range(20))
                shared = (event(f"shared.{number}.{n}") for n in range(5))
                done, refused = await c.lists(bulk(*own, *shared))
                assert not refused
                assert set(done.values()) <= {"duplicate"}
                duplicates.append(len(done))

        async with anyio.create_task_group() as group:
            for client in range(50):
                group.start_soon(send, client)
        ids = c.store.ids()
        assert len(ids) == len(set(ids)) == 50 * 5 * 20 + 25
        assert sum(duplicates) == 49 * 25


async def test_a_connection_serves_on_after_every_kind_of_refusal() -> None:
    async with collecting(tokens=("right",), max_events=1) as c:
        right = {"Authorization": "Bearer right"}
        large = b" " * MIB
        for number in range(3):
            assert (await c.post(large)).status_code == 401
            assert (await c.http.post("/other", content=large, headers=right)).status_code == 404
            assert (await c.http.put(PATH, content=large, headers=right)).status_code == 405
            assert (await c.post(large, headers=right)).status_code == 400
            assert (await c.post(bulk(event("a"), event("b")), headers=right)).status_code == 413
            assert await c.lists(bulk(event(f"n{number}")), headers=right) == ({}, {})


async def test_requests_sent_without_waiting_are_answered_in_order() -> None:
    async with collecting() as c:
        bodies = [bulk(event("a")), b"no", bulk(event("a"))]
        requests = [head(len(body)) + body for body in bodies]
        requests[-1] = head(len(bodies[-1]), "Connection: close") + bodies[-1]
        answer = await anyio.to_thread.run_sync(raw, c.url, b"".join(requests))
        assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"201", b"400", b"201"]
        assert c.store.ids() == ["a"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"GET\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\n\r\n",
        b"CONNECT host:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000,
        b"GET /" + b"y" * 200_000,
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=lambda text: repr(text[:20]),
)
async def test_nonsense_ends_only_its_own_connection(nonsense: bytes) -> None:
    async with collecting() as c:
        await anyio.to_thread.run_sync(raw, c.url, nonsense)
        assert (await c.post(bulk(event("a")))).status_code == 201


def test_a_full_disk_is_told_as_such_nothing_is_acknowledged_and_it_recovers(tmp_path: Path) -> None:
    room = MIB

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    acknowledged: list[str] = []
    with process(tmp_path, before=small_files) as collector, collector.client() as client:

        def post(number: int) -> httpx.Response:
            names = [f"{number}.{n}" for n in range(100)]
            answer = client.post(PATH, content=bulk(*(event(name, event={"x": "y" * 1000}) for name in names)))
            if answer.status_code == 201:
                acknowledged.extend(names)
            return answer

        failed = next(answer for number in range(1000) if (answer := post(number)).status_code != 201)
        assert failed.status_code == 503
        assert int(failed.headers["Retry-After"]) >= 1
        assert client.get("/healthz").status_code == 503
        assert post(10_000).status_code == 503
        resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        # By itself: nobody may be sending while it is known to fail.
        wait_until(lambda: client.get("/healthz").status_code == 200, what="recovery", on_timeout=collector.output)
        assert post(20_000).status_code == 201
        assert collector.stored() == acknowledged
        assert "store_write_failed" in collector.output()
        assert "store_recovered" in collector.output()


@pytest.mark.parametrize("begun", [b"", b"POST / HT", b"\r\n"], ids=repr)
async def test_a_connection_on_which_no_request_comes_is_closed(begun: bytes) -> None:
    async def unused(*_: object) -> None:
        raise AssertionError

    async with serving(unused, listen="127.0.0.1:0", head_seconds=0.1) as url:
        assert await anyio.to_thread.run_sync(raw, url, begun) == b""


def test_many_slow_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    with process(tmp_path) as collector, collector.client() as client:
        host, port = collector.url().removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port)), timeout=60) for _ in range(200)]
        try:
            for number, connection in enumerate(slow):
                connection.sendall(b"POST / HT" if number % 2 else head(100) + b"{")
            answers: list[int] = []
            thread = threading.Thread(target=lambda: answers.append(client.post(PATH, content=bulk()).status_code))
            thread.start()
            thread.join(60)
            assert answers == [201]
        finally:
            for connection in slow:
                connection.close()
