"""The receiver that the benchmarks trust: it misses no loss and no duplicate, whatever shape a body has."""

from __future__ import annotations

import gzip
import json
import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from bench import sinks
from bench.lines import line, stamped, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def body(*numbers: int, name: str = "a") -> bytes:
    events = [b'{"unique_id":"%s-%d","event":%b}' % (name.encode(), n, line(n, 365).strip()) for n in numbers]
    return b'{"events":[%b]}' % b",".join(events)


def counts(sink: sinks.Sink) -> tuple[int, int, int]:
    told = sink.verdict()
    return told["events"], told["distinct"], told["twice"]


@pytest.fixture
def sink() -> Iterator[sinks.Sink]:
    with sinks.sink() as running:
        yield running


def test_each_number_is_known_and_what_comes_twice_is_told_apart(sink: sinks.Sink) -> None:
    with httpx.Client() as client:
        for numbers in ((1, 2, 3), (3, 4), (5,)):
            assert client.post(sink.url, content=body(*numbers)).status_code == 201
    assert sink.stats()["distinct"] == 5
    assert counts(sink) == (6, 5, 1)
    assert counts(sink) == (0, 0, 0), "a verdict forgets"


def test_chunked_bodies_and_those_that_wait_to_be_asked_for_count_as_well(sink: sinks.Sink) -> None:
    whole = body(*range(50))
    with socket.create_connection(("127.0.0.1", sink.port)) as peer:
        peer.sendall(b"POST /hook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert peer.recv(1000).startswith(b"HTTP/1.1 100")
        for at in range(0, len(whole), 1000):
            part = whole[at : at + 1000]
            peer.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        peer.sendall(b"0\r\n\r\n")
        assert peer.recv(1000).startswith(b"HTTP/1.1 201")
    assert counts(sink) == (50, 50, 0)


def test_lines_over_tcp_count_however_they_are_cut(sink: sinks.Sink) -> None:
    whole = b"".join(text(n, 180) for n in range(100))
    with socket.create_connection(("127.0.0.1", sink.port)) as peer:
        for at in range(0, len(whole), 777):
            peer.sendall(whole[at : at + 777])
            time.sleep(0.001)
    while sink.stats()["distinct"] < 100:
        time.sleep(0.01)
    assert counts(sink) == (100, 100, 0)


def test_one_percent_is_asked_for_again_and_taken_the_second_time() -> None:
    with sinks.sink(retry_percent=1) as sink, httpx.Client() as client:
        first = client.post(sink.url, content=body(*range(500))).json()
        again = [entry["unique_id"] for entry in first["retry_events"]]
        assert len(again) == 5
        numbers = [int(name.removeprefix("a-")) for name in again]
        assert client.post(sink.url, content=body(*numbers)).json()["retry_events"] == []
        assert counts(sink) == (500, 500, 0)


def test_a_number_that_comes_back_under_another_id_is_told() -> None:
    with sinks.sink(ids=True) as sink, httpx.Client() as client:
        client.post(sink.url, content=body(1, 2, name="a"))
        client.post(sink.url, content=body(1, name="a"))
        client.post(sink.url, content=body(2, name="b"))
        told = sink.verdict()
    assert (told["twice"], told["twice_with_another_id"]) == (2, 1)


def test_compressed_bodies_are_judged_afterwards(tmp_path: Path) -> None:
    with sinks.sink(encoded=tmp_path / "bodies.gz") as sink, httpx.Client() as client:
        for numbers in ((1, 2, 3), (3, 4)):
            client.post(sink.url, content=gzip.compress(body(*numbers)), headers={"Content-Encoding": "gzip"})
        assert counts(sink) == (5, 4, 1)


def test_the_time_from_writing_to_receipt_is_told(sink: sinks.Sink) -> None:
    written = stamped(7, 365)
    time.sleep(0.05)
    httpx.post(
        sink.url, content=b'{"events":[{"unique_id":"a","event":%b}]}' % json.dumps(json.loads(written)).encode()
    )
    [latency] = sink.verdict()["latencies"]
    assert latency >= 0.05
