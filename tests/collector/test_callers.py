"""Who may call: tokens, and on loopback without one only programs of this machine."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.collector.calls import PATH, bulk, collecting, event, process
from tests.support.processes import command

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

TOKENS = ("first-token", "zweites-tökén")


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_each_of_several_tokens_is_good(token: str, scheme: str) -> None:
    async with collecting(tokens=TOKENS) as c:
        assert await c.lists(bulk(event("a")), headers={"Authorization": f"{scheme} {token}".encode()}) == ({}, {})


WRONG = [
    None,
    "",
    "Bearer",
    "Bearer wrong",
    "Bearer first-toke",
    "Bearer first-token2",
    "Basic first-token",
    "first-token",
    "Bearer first-token, Bearer x",
    b"Bearer \xff\xfe",
]


async def test_without_a_right_token_nothing_is_stored_or_told() -> None:
    async with collecting(tokens=TOKENS) as c:
        requests = (("POST", PATH), ("GET", PATH), ("POST", f"{PATH}/"), ("GET", "/other"), ("GET", "/v1/audits"))
        for header, (method, path) in itertools.product(WRONG, requests):
            headers = {} if header is None else {"Authorization": header}
            answer = await c.http.request(method, path, content=bulk(event("a")), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.json()["error_code"] == "unauthorized"
        assert c.store.count() == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:99", "127.8.9.1", "[::1]:80", "localhost."])
async def test_programs_of_this_machine_need_no_token_on_loopback(host: str) -> None:
    async with collecting() as c:
        assert await c.lists(bulk(event("a")), headers={"Host": host}) == ({}, {})


FOREIGN = [
    {"Origin": "http://example.org"},
    {"Origin": "null"},
    {"Origin": "http://localhost"},
    {"Host": "example.org"},
    {"Host": "127.0.0.1.example.org"},
    {"Host": "localhost.example.org:80"},
    {"Host": "192.0.2.1"},
    {"Host": "a:b:c"},
    {"Host": "localhost:x"},
    {"Host": "[::1"},
    {"Host": "[2001:db8::1]:80"},
]


async def test_web_pages_may_not_call_a_collector_without_token() -> None:
    async with collecting() as c:
        for headers in FOREIGN:
            answer = await c.post(bulk(event("a")), headers=headers)
            assert answer.status_code == 403, headers
            assert (await c.http.get("/other", headers=headers)).status_code == 403
            assert answer.json()["error_code"] == "forbidden"
        assert c.store.count() == 0


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:8484", "example.org:1", "127.example.org:1"])
def test_an_address_that_others_reach_needs_a_token(listen: str, tmp_path: Path) -> None:
    with process(tmp_path, "--listen", listen) as collector:  # which says --no-token
        assert collector.process.wait(60) == 2
        assert "--token-file" in collector.output()


@pytest.mark.parametrize("listen", ["nonsense", ":8484", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1"])
def test_an_address_that_is_none_is_wrong_usage(listen: str) -> None:
    done = command("collector", "--listen", listen, "--database", ":memory:")
    assert done.returncode == 2
    assert listen in done.stderr
    assert "Traceback" not in done.stderr


def test_the_token_comes_from_the_environment_and_never_out(tmp_path: Path) -> None:
    secret = "env-token-4711"
    options = ("--log-level", "debug", "--listen", "0.0.0.0:0")
    with process(tmp_path, *options, environment={"AUDIT_COLLECTOR_TOKEN": f" {secret}\n"}) as collector:
        port = collector.url().rsplit(":", 1)[1]
        with collector.client(base_url=f"http://127.0.0.1:{port}") as client:
            headers = {"Authorization": f"Bearer {secret}"}
            assert client.post(PATH, content=bulk(event("a")), headers=headers).status_code == 201
            assert client.post(PATH, content=b"no", headers=headers).status_code == 400
            assert client.get("/other", headers=headers).status_code == 404
            wrong = client.post(PATH, content=bulk(event("b")), headers={"Authorization": f"Bearer {secret}x"})
            assert wrong.status_code == 401
            assert secret not in wrong.text
        assert collector.end() == 0
        assert "events_stored" in collector.output()
        assert secret not in collector.output()


def test_tokens_come_from_a_file_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("one\n\n  two  \r\n")
    with process(tmp_path, "--token-file", str(file)) as collector, collector.client() as client:
        found = {
            token: client.post(PATH, content=bulk(), headers={"Authorization": f"Bearer {token}"}).status_code
            for token in ("one", "two", "three")
        }
        assert found == {"one": 201, "two": 201, "three": 401}


@pytest.mark.parametrize("content", [None, "", "\n \n", b"\xff\xfe"], ids=repr)
def test_a_token_file_without_token_is_wrong_usage(content: str | bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = command("collector", "--listen", "127.0.0.1:0", "--database", ":memory:", "--token-file", str(file))
    assert done.returncode == 2
    assert "--token-file" in done.stderr
