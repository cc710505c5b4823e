"""A receiver that repeats our credentials to us must not get them into a log or an answer."""

from __future__ import annotations

import base64
import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.processes import GENEROUS_SECONDS, AgentProcess, command, wait_until, write_config
from tests.unit.observe.test_administer import url_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "tok3n-0f-the-bearer"
PASSWORD = "pa55w0rd-of-the-user"
SECRETS = (TOKEN, PASSWORD, base64.b64encode(f"shipper:{PASSWORD}".encode()).decode())


class _Echo(BaseHTTPRequestHandler):
    """Refuses everybody, and says what they sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        body = json.dumps({"error_message": f"not for {self.headers['authorization']}"}).encode()
        self.send_response(401, "Unauthorized")
        self.send_header("WWW-Authenticate", f'Bearer error="{self.headers["authorization"]}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the base names it
        return


@contextmanager
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            thread.join()


def body(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=GENEROUS_SECONDS) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def test_pain_30_no_secret_is_in_any_output_at_debug_level(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"n":1}\n')
    (tmp_path / "token").write_text(TOKEN + "\n")
    with echo() as hook:
        bearer = {"authentication_type": "http_bearer", "http_bearer": {"token": f"${{file:{tmp_path}/token}}"}}
        basic = {"authentication_type": "http_basic", "http_basic": {"username": "shipper", "password": PASSWORD}}
        common = {"destination_type": "webhook", "location": hook}
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(tmp_path / "state"), "log_level": "debug", "log_format": "json"},
            admin={"listen": "127.0.0.1:0"},
            sources=[{"name": "app", "include": [f"{tmp_path}/*.jsonl"]}],
            destinations=[
                {"name": "bearer", "authentication": bearer, **common},
                {"name": "basic", "authentication": basic, **common},
            ],
        )
        with AgentProcess(config) as agent:
            url = url_of(agent)
            wait_until(lambda: agent.output().count("destination_pauses") >= 2, what="both refused")
            outputs = {path: body(url + path) for path in ("/readyz", "/stats", "/metrics", "/healthz")}
            assert agent.stop() == 0
            outputs["log"] = agent.output()
        for arguments in (["check"], ["check", "--json"], ["check", "--connect"]):
            done = command(*arguments, "-c", str(config))
            outputs[" ".join(arguments)] = done.stdout + done.stderr
    assert "bearer: degraded" in outputs["/readyz"]
    for where, text in outputs.items():
        for secret in SECRETS:
            assert secret not in text, where
