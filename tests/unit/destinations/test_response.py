"""Bytes → one response, however they are cut."""

from __future__ import annotations

import pytest

from agent.destinations.response import MAX_HEAD_BYTES, HeadError, ResponseParser

HEAD = b"HTTP/1.1 201 Created\r\n"


def parsed(*pieces: bytes) -> ResponseParser:
    parser = ResponseParser()
    for piece in pieces:
        parser.feed(piece)
    return parser


@pytest.mark.parametrize(
    ("data", "body", "keep_alive"),
    [
        pytest.param(HEAD + b"Content-Length: 5\r\n\r\nhello", b"hello", True, id="length"),
        pytest.param(HEAD + b"Content-Length: 0\r\n\r\n", b"", True, id="empty"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True, id="chunked"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", True, id="204"),
        pytest.param(HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx", b"x", False, id="close"),
        pytest.param(b"HTTP/1.0 201 Created\r\nContent-Length: 1\r\n\r\nx", b"x", False, id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx", b"x", True, id="after 100"
        ),
    ],
)
def test_a_response_is_the_same_however_it_is_cut(data: bytes, body: bytes, keep_alive: bool) -> None:
    for cut in range(1, len(data)):
        parser = parsed(data[:cut], data[cut:])
        assert parser.is_complete
        assert b"".join(parser.take()) == body
        assert parser.keep_alive is keep_alive
        assert b"X" not in dict(parser.headers)
    assert b"".join(parsed(*(bytes([b]) for b in data)).take()) == body


def test_a_body_of_no_stated_length_ends_with_the_connection() -> None:
    parser = parsed(HEAD + b"\r\nhel", b"lo")
    assert not parser.is_complete
    parser.feed(b"")
    assert parser.is_complete
    assert b"".join(parser.take()) == b"hello"
    assert not parser.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD + b"Content-Length: 5\r\n\r\nhell",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_not_a_whole_response_is_refused(data: bytes) -> None:
    with pytest.raises(HeadError):
        parsed(*([data] if data else []), b"")


def test_a_second_response_does_not_change_the_first() -> None:
    first = HEAD + b"Content-Length: 1\r\n\r\nx"
    parser = parsed(first + b"HTTP/1.1 400 Bad Request\r\nContent-Length: 1\r\nY: 1\r\n\r\ny")
    assert (parser.status, parser.is_complete, parser.keep_alive) == (201, True, False)
    assert b"".join(parser.take()) == b"x"
    assert b"Y" not in dict(parser.headers)


def test_an_endless_head_is_refused() -> None:
    with pytest.raises(HeadError):
        parsed(HEAD, *[b"X: " + b"y" * 1000 + b"\r\n"] * (MAX_HEAD_BYTES // 1000 + 1))
