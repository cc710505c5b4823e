"""How a webhook connects: kept-alive connections, TLS, proxies, compression, and what it never shows."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.abc import ByteStream

from agent.config.model import Authentication, Delivery, DestinationConfig, HttpBasic, Tls
from agent.config.secrets import Secret
from agent.destinations.base import ACCEPTED, Kind
from agent.destinations.http1 import socket_of
from agent.destinations.proxies import proxy_for
from agent.destinations.webhook import Webhook, problems, warnings
from tests.support.certificates import Authority, server_context
from tests.support.receiver import Receiver, Reply
from tests.support.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.destinations.base import Answer

SENT = transaction(3)


def config(location: str, **delivery: Any) -> DestinationConfig:
    return DestinationConfig(name="soc", destination_type="webhook", location=location, delivery=Delivery(**delivery))


async def attempt(location: str, **delivery: Any) -> Answer:
    webhook = Webhook(config(location, **delivery))
    try:
        return await webhook.attempt(SENT)
    finally:
        await webhook.aclose()


class Over(ByteStream):
    """A stream whose peer has reset it at once: its event loop has no socket any more that could be asked."""

    closed = False

    @property
    def extra_attributes(self) -> dict[Any, Any]:
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    async def receive(self, max_bytes: int = 65536) -> bytes:
        raise anyio.BrokenResourceError

    async def send(self, item: bytes) -> None:
        raise anyio.BrokenResourceError

    async def send_eof(self) -> None:
        raise anyio.BrokenResourceError

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.anyio
async def test_a_connection_that_is_reset_as_soon_as_it_is_made_is_a_lost_connection_and_no_fault_of_ours() -> None:
    stream = Over()
    with pytest.raises(anyio.BrokenResourceError):
        await socket_of(stream)
    assert stream.closed


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.anyio
async def test_one_connection_serves_many_transactions(receiver: Receiver) -> None:
    receiver.script(Reply(201), Reply(503, b"{}"), Reply(400, b"x" * 10_000), Reply(201, b'{"success_events":[]}'))
    webhook = Webhook(config(receiver.url))
    for _ in range(6):
        await webhook.attempt(SENT)
    await webhook.aclose()
    assert {r.connection for r in receiver.requests} == {1}


@pytest.mark.anyio
async def test_a_receiver_that_restarts_is_reached_again(receiver: Receiver) -> None:
    webhook = Webhook(config(receiver.url))
    assert await webhook.attempt(SENT) == ACCEPTED
    receiver.refuse()
    assert (await webhook.attempt(SENT)).failure is not None
    receiver.accept()
    assert await webhook.attempt(SENT) == ACCEPTED
    await webhook.aclose()


@pytest.mark.anyio
async def test_a_connection_in_use_is_closed_after_the_webhook_is(receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(201, b"x" * 50, trickle_seconds=0.005)
    webhook = Webhook(config(receiver.url))
    async with anyio.create_task_group() as group:
        group.start_soon(webhook.attempt, SENT)
        await anyio.to_thread.run_sync(receiver.wait_until, lambda r: bool(r.requests))
        await webhook.aclose()
    # A socket that nobody closed would be a ResourceWarning, and those are errors here.


@pytest.mark.anyio
async def test_requests_at_the_same_time_have_connections_of_their_own(receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(201, delay_seconds=0.05)
    webhook = Webhook(config(receiver.url))
    for _ in range(2):
        async with anyio.create_task_group() as group:
            for i in range(4):
                group.start_soon(webhook.attempt, transaction(1, first=i))
    await webhook.aclose()
    assert len(receiver.requests) == 8
    assert receiver.connections == 4


@pytest.mark.anyio
async def test_gzip_compresses_the_body(receiver: Receiver) -> None:
    assert await attempt(receiver.url, gzip=True) == ACCEPTED
    assert receiver.requests[0].headers["content-encoding"] == "gzip"
    assert receiver.requests[0].ids() == SENT.unique_ids()


@pytest.mark.anyio
async def test_a_compressed_answer_is_understood(receiver: Receiver) -> None:
    import gzip

    body = gzip.compress(b'{"retry_events":[{"unique_id":"s.0","status":"too_busy"}]}')
    receiver.script(Reply(201, body, headers={"Content-Encoding": "gzip"}))
    assert list((await attempt(receiver.url)).pending) == [0]


@pytest.mark.anyio
async def test_a_compressed_answer_of_several_members_is_understood_and_a_cut_one_counts_nothing_as_sent(
    receiver: Receiver,
) -> None:
    import gzip

    parts = b'{"retry_events":[{"unique_id":"s.0",', b'"status":"too_busy"}]}'
    whole = b"".join(map(gzip.compress, parts))
    receiver.script(*(Reply(201, body, headers={"Content-Encoding": "gzip"}) for body in (whole, whole[:-3])))
    assert list((await attempt(receiver.url)).pending) == [0]
    assert len((await attempt(receiver.url)).pending) == len(SENT)


@pytest.mark.anyio
async def test_a_compressed_answer_expands_only_as_far_as_it_is_looked_at(receiver: Receiver) -> None:
    import gzip
    import tracemalloc

    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    receiver.script(Reply(201, bomb, headers={"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        answer = await attempt(receiver.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.failure is not None
    assert peak < 32 << 20, "8 MiB of an answer are looked at"


@pytest.mark.anyio
async def test_extra_headers_are_looked_up_again_after_a_refusal(receiver: Receiver, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old")
    receiver.script(Reply(403))
    webhook = Webhook(config(receiver.url, headers={"X-Api-Key": Secret(f"${{file:{key}}}")}))
    await webhook.attempt(SENT)
    key.write_text("new")
    await webhook.attempt(SENT)
    await webhook.aclose()
    assert [r.headers["x-api-key"] for r in receiver.requests] == ["old", "new"]


@pytest.mark.anyio
async def test_a_private_authority_and_a_client_certificate(authority: Authority) -> None:
    server = server_context(authority.sign("server"), client_ca=authority.ca)
    client = authority.sign("client", hosts=("edge-07",))
    with Receiver(tls=server) as receiver:
        tls = Tls(ca_file=str(authority.ca), cert_file=str(client.cert), key_file=str(client.key))
        assert await attempt(receiver.url, tls=tls) == ACCEPTED
        certificate = receiver.requests[0].peer_certificate
        assert certificate is not None
        assert "client" in str(certificate["subject"])


@pytest.mark.anyio
@pytest.mark.parametrize("mistake", ["foreign authority", "expired", "wrong name"])
async def test_a_certificate_that_does_not_fit_is_the_destination_s_trouble(
    mistake: str, authority: Authority, tmp_path: Path
) -> None:
    days = -1 if mistake == "expired" else 1
    hosts = ("elsewhere.example",) if mistake == "wrong name" else ("127.0.0.1",)
    trusted = Authority(tmp_path, "other").ca if mistake == "foreign authority" else authority.ca
    pair = authority.sign(f"bad-{mistake.replace(' ', '-')}", hosts=hosts, days=days)
    with Receiver(tls=server_context(pair)) as receiver:
        answer = await attempt(receiver.url, tls=Tls(ca_file=str(trusted)))
        assert not receiver.requests
    assert list(answer.pending) == [0, 1, 2]
    assert answer.failure is not None
    assert answer.failure.kind is Kind.DESTINATION
    assert "TLS" in answer.failure.reason


@pytest.mark.anyio
async def test_without_the_client_certificate_a_server_wants_nothing_is_settled(authority: Authority) -> None:
    """TLS 1.3 tells the client only after its first request; whether the alert outruns the reset is luck."""
    server = server_context(authority.sign("strict"), client_ca=authority.ca)
    with Receiver(tls=server) as receiver:
        answer = await attempt(receiver.url, tls=Tls(ca_file=str(authority.ca)))
        assert not receiver.requests
    assert list(answer.pending) == [0, 1, 2]


@pytest.mark.anyio
async def test_verification_can_be_switched_off(authority: Authority) -> None:
    with Receiver(tls=server_context(authority.sign("any", hosts=("elsewhere.example",)))) as receiver:
        assert await attempt(receiver.url, tls=Tls(verify=False)) == ACCEPTED


@pytest.mark.anyio
async def test_a_missing_certificate_file_is_named_and_a_repaired_one_is_used(
    authority: Authority, tmp_path: Path
) -> None:
    ca = tmp_path / "late.pem"
    with Receiver(tls=server_context(authority.sign("server2"))) as receiver:
        webhook = Webhook(config(receiver.url, tls=Tls(ca_file=str(ca))))
        for content in (None, b"no certificate at all"):
            if content:
                ca.write_bytes(content)
            failure = (await webhook.attempt(SENT)).failure
            assert failure is not None
            assert (failure.kind, "late.pem" in failure.reason) == (Kind.DESTINATION, True)
        ca.write_bytes(authority.ca.read_bytes())
        assert await webhook.attempt(SENT) == ACCEPTED
        await webhook.aclose()


@pytest.mark.anyio
async def test_after_a_tls_failure_the_files_are_read_again(authority: Authority, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    other = tmp_path / "other"
    other.mkdir()
    ca.write_bytes(Authority(other).ca.read_bytes())
    with Receiver(tls=server_context(authority.sign("server3"))) as receiver:
        webhook = Webhook(config(receiver.url, tls=Tls(ca_file=str(ca))))
        assert (await webhook.attempt(SENT)).failure is not None
        ca.write_bytes(authority.ca.read_bytes())
        assert await webhook.attempt(SENT) == ACCEPTED
        await webhook.aclose()


@pytest.mark.anyio
async def test_a_redirect_from_https_to_http_is_not_followed(authority: Authority, receiver: Receiver) -> None:
    with Receiver(tls=server_context(authority.sign("server4"))) as secure:
        secure.script(Reply(307, headers={"Location": receiver.url}))
        answer = await attempt(secure.url, tls=Tls(ca_file=str(authority.ca)))
    assert answer.failure is not None
    assert not receiver.requests


@pytest.mark.anyio
async def test_a_proxy_gets_the_request(receiver: Receiver) -> None:
    proxy = f"http://127.0.0.1:{receiver.port}"
    assert await attempt("http://soc.example.net/hook", proxy=proxy) == ACCEPTED
    assert receiver.requests[0].target == "http://soc.example.net/hook"


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "kind"), [(407, Kind.DESTINATION), (503, Kind.NOT_NOW)])
async def test_a_proxy_that_refuses_a_tunnel(receiver: Receiver, status: int, kind: Kind) -> None:
    receiver.script(Reply(status))
    answer = await attempt("https://soc.example.net/hook", proxy=f"http://127.0.0.1:{receiver.port}")
    assert answer.failure is not None
    assert answer.failure.kind is kind


@pytest.mark.parametrize(
    ("environment", "setting", "url", "expected"),
    [
        ({}, None, "https://a.example/", None),
        ({"https_proxy": "http://p:3128"}, None, "https://a.example/", "http://p:3128"),
        ({"https_proxy": "p:3128"}, None, "https://a.example/", "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, None, "http://a.example/", None),
        ({"http_proxy": "http://p:3128"}, None, "http://a.example/", "http://p:3128"),
        ({"all_proxy": "http://p:3128"}, None, "https://a.example/", "http://p:3128"),
        ({"all_proxy": "http://p:3128", "no_proxy": "localhost,.example"}, None, "https://a.example/", None),
        ({"all_proxy": "http://p:3128", "no_proxy": "*"}, None, "https://a.example/", None),
        ({"https_proxy": "http://p:3128"}, "none", "https://a.example/", None),
        ({"https_proxy": "http://p:3128", "no_proxy": "*"}, "http://q:1", "https://a.example/", "http://q:1"),
    ],
)
def test_the_proxy_is_the_configured_one_else_the_environment_s(
    environment: dict[str, str], setting: str | None, url: str, expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(httpx.URL(url), Delivery(proxy=setting)) == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answered", "kind"),
    [(b"", Kind.NOT_NOW), (b"HTTP/1.1 400 Bad Request\r\n\r\n", Kind.DESTINATION)],
    ids=["goes away", "speaks no TLS"],
)
async def test_a_peer_that_does_not_finish_the_handshake(answered: bytes, kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answered)

        thread = threading.Thread(target=hang_up)
        thread.start()
        answer = await attempt(f"https://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert list(answer.pending) == [0, 1, 2]
    assert answer.failure is not None
    assert answer.failure.kind is kind


@pytest.mark.parametrize(
    ("location", "delivery", "keys"),
    [
        ("https://soc.example.net/hook", {}, []),
        ("ftp://soc.example.net/hook", {}, ["location"]),
        ("https:///hook", {}, ["location"]),
        ("soc.example.net", {}, ["location"]),
        ("https://[::1/", {}, ["location"]),
        ("https://user:hunter2@soc.example.net/", {}, ["location"]),
        ("https://a/", {"proxy": "socks5://p:1"}, ["delivery.proxy"]),
        ("https://a/", {"proxy": "p:1"}, ["delivery.proxy"]),
        ("https://a/", {"proxy": "http://user:hunter2@p:1"}, []),
        ("https://a/", {"tls": Tls(ca_file="/nonexistent")}, ["delivery.tls.ca_file"]),
        ("https://a/", {"tls": Tls(ca_file="/dev/null")}, ["delivery.tls.ca_file"]),
        ("https://a/", {"tls": Tls(cert_file="/nonexistent")}, ["delivery.tls.cert_file"]),
        ("https://a/", {"tls": Tls(key_file="/dev/null")}, ["delivery.tls.key_file"]),
        ("https://a/", {"headers": {"Content-Length": Secret("1")}}, ["delivery.headers"]),
        ("https://a/", {"headers": {"two words": Secret("1")}}, ["delivery.headers"]),
        ("ftp://a/", {"proxy": "p:1", "tls": Tls(ca_file="/nonexistent")},
         ["location", "delivery.proxy", "delivery.tls.ca_file"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_key_and_show_no_password(
    location: str, delivery: dict[str, Any], keys: list[str]
) -> None:
    found = problems(config(location, **delivery))
    assert [key for key, _, _ in found] == keys
    assert "hunter2" not in str(found)


def test_credentials_over_plain_http_are_warned_about() -> None:
    basic = Authentication(authentication_type="http_basic", http_basic=HttpBasic(username="u", password=Secret("p")))
    risky = DestinationConfig(
        name="a",
        destination_type="webhook",
        location="http://a/",
        authentication=basic,
        delivery=Delivery(tls=Tls(verify=False)),
    )
    assert [key for key, _, _ in warnings(risky)] == ["location", "delivery.tls.verify"]
    assert warnings(config("http://a/")) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "cannot connect: Connection refused"),
        (Reply(drop=True), "no valid answer: the server closed the connection without a response"),
        (Reply(201, b"abc", cut=True), "no valid answer: the server closed the connection in the middle"),
        (Reply(503), "answered 503 Service Unavailable"),
        (Reply(302), "answered 302 Found, a redirect that is not followed"),
    ],
)
async def test_a_reason_tells_an_operator_what_happened_and_where(
    receiver: Receiver, reply: Reply | None, words: str
) -> None:
    if reply is None:
        receiver.refuse()
    else:
        receiver.script(reply)
    failure = (await attempt(f"{receiver.url}?key=hunter2")).failure
    assert failure is not None
    assert failure.reason.startswith(f"http://127.0.0.1:{receiver.port}")
    assert words in failure.reason
    assert "hunter2" not in failure.reason
