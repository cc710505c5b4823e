"""The source ``http``: what was acknowledged is delivered, whatever happens to agent, disk or destination."""

from __future__ import annotations

import gzip
import json
import re
import resource
import signal
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.processes import AgentProcess, command, wait_until, write_config
from tests.support.receiver import Receiver, Reply, processed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIME = "2026-05-04T12:00:01.250000000Z"
BULK = "/v1/bulk_audit_events"


def bulk(*names: str, size: int = 0) -> bytes:
    """Return a bulk request, indented as a person would write it."""
    events = [
        {"unique_id": name, "create_time": TIME, "event": {"log_type": "api", "pad": "x" * size}} for name in names
    ]
    return json.dumps({"events": events}, indent=1).encode()


class Rig:
    """An agent that is pushed to, and its receiver."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.receiver = receiver
        self.spool = folder / "state" / "spool" / "push"
        self.configure()

    def configure(self, *others: dict[str, Any], **source: Any) -> None:
        sink = {
            "name": "sink",
            "destination_type": "webhook",
            "location": self.receiver.url,
            "delivery": {"retry": {"base": "50ms", "cap": "200ms", "probe": "100ms"}},
        }
        self.config = write_config(
            self.folder / "config.yaml",
            agent={"state_dir": str(self.folder / "state"), "shutdown_grace_seconds": 3, "log_format": "json"},
            sources=[{"name": "push", "type": "http", "listen": "127.0.0.1:0"} | source],
            destinations=[sink, *others],
        )

    def process(self) -> AgentProcess:
        (self.folder / "config.log").unlink(missing_ok=True)
        return AgentProcess(self.config)

    def client(self, process: AgentProcess, **options: Any) -> httpx.Client:
        """Return a client of the running agent, once it listens."""
        process.wait_for_output("source_listening")
        url = re.findall(r'"event": "source_listening".*?"url": "([^"]+)"', process.output())[-1]
        if url.startswith("unix:"):
            options["transport"], url = httpx.HTTPTransport(uds=url.removeprefix("unix:")), "http://localhost"
        return httpx.Client(base_url=url, timeout=60, **({"trust_env": False} | options))

    def wait_for(self, *names: str) -> None:
        wait_until(lambda: set(names) <= self.receiver.ids().keys(), what=f"{len(names)} events")

    def segments(self) -> list[Path]:
        return sorted(self.spool.glob("*.seg"))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Receiver() as receiver:
        yield Rig(tmp_path, receiver)


def test_a_bulk_request_is_delivered_with_the_ids_and_times_it_brought(rig: Rig) -> None:
    with rig.process() as process, rig.client(process) as client:
        answer = client.post(BULK, content=bulk("a.1", "b-2"))
        assert answer.status_code == 201
        assert answer.json() == {"success_events": [], "discard_events": [], "retry_events": []}
        rig.wait_for("a.1", "b-2")
        assert process.stop() == 0, process.output()
    first = rig.receiver.events()[0]
    assert (first["unique_id"], first["create_time"]) == ("a.1", TIME)
    assert first["event"]["log_type"] == "api"
    assert first["event"]["source_name"] == "push"


def test_each_event_of_a_bulk_request_is_answered_for(rig: Rig) -> None:
    with rig.process() as process, rig.client(process) as client:
        body = {
            "events": [
                {"unique_id": "good", "create_time": TIME, "event": {}},
                {"unique_id": "late", "create_time": "yesterday", "event": {}},
                {"unique_id": "no good", "create_time": TIME, "event": {}},
            ],
            "always_respond_with_events": True,
        }
        told = client.post(BULK, json=body).json()
        assert [(e["unique_id"], e["status"]) for e in told["success_events"]] == [("good", "success")]
        assert [(e["unique_id"], e["status"]) for e in told["discard_events"]] == [
            ("late", "invalid"),
            ("no good", "invalid"),
        ]
        assert client.post(BULK, content=b"[]").status_code == 400
        rig.wait_for("good")
    assert set(rig.receiver.ids()) == {"good"}


@pytest.mark.parametrize("path", ["/", "/v1/events"])
def test_posted_lines_become_events_also_the_one_that_does_not_parse(rig: Rig, path: str) -> None:
    with rig.process() as process, rig.client(process) as client:
        body = gzip.compress(b'{"message":"one"}\n\nnot json\n{"message":"two"}')
        answer = client.post(path, content=body, headers={"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()) == (201, {"accepted": 3, "unparsed": 1})
        assert client.post(path, content=b"").json() == {"accepted": 0, "unparsed": 0}
        wait_until(lambda: len(rig.receiver.ids()) == 3)
    found = [event["event"] for event in rig.receiver.events()]
    assert [event.get("message", event.get("raw")) for event in found] == ["one", "not json", "two"]


def test_sigkill_between_receipt_and_delivery_loses_nothing_that_was_acknowledged(rig: Rig) -> None:
    rig.receiver.refuse()
    names = [f"n{i}" for i in range(40)]
    with rig.process() as process, rig.client(process) as client:
        for at in range(0, 40, 4):
            assert client.post(BULK, content=bulk(*names[at : at + 4])).status_code == 201
        lines = client.post("/v1/events", content=b'{"n":1}\n{"n":2}\n')
        assert lines.json()["accepted"] == 2
        process.kill()
    rig.receiver.accept()
    with rig.process() as process:
        rig.wait_for(*names)
        wait_until(lambda: len(rig.receiver.ids()) == 42)
        assert process.stop() == 0


def test_after_sigkill_an_event_is_sent_again_only_under_its_id(rig: Rig) -> None:
    rig.receiver.answer = lambda _request: Reply(hang=True)
    with rig.process() as process, rig.client(process) as client:
        assert client.post("/", content=b'{"n":1}').status_code == 201
        wait_until(lambda: rig.receiver.requests)
        process.kill()
    rig.receiver.answer = lambda _request: Reply()
    with rig.process():
        wait_until(lambda: len(rig.receiver.requests) > 1)
    assert len(rig.receiver.ids()) == 1


def test_a_torn_line_at_the_end_of_the_spool_harms_nothing(rig: Rig) -> None:
    rig.receiver.refuse()
    with rig.process() as process, rig.client(process) as client:
        assert client.post(BULK, content=bulk("whole")).status_code == 201
        process.kill()
    with rig.segments()[-1].open("ab") as segment:
        segment.write(b'{"unique_id":"torn","create')
    rig.receiver.accept()
    with rig.process() as process, rig.client(process) as client:
        rig.wait_for("whole")
        assert client.post(BULK, content=bulk("next")).status_code == 201
        rig.wait_for("next")
    assert set(rig.receiver.ids()) == {"whole", "next"}
    assert "spool_torn_line" in process.output()


def test_at_the_bound_callers_are_told_to_come_back_until_the_destination_takes_events_again(rig: Rig) -> None:
    rig.configure(spool={"max_bytes": "256KiB"})
    rig.receiver.refuse()
    taken: list[str] = []
    with rig.process() as process, rig.client(process) as client:
        for n in range(1000):
            answer = client.post(BULK, content=bulk(f"n{n}", size=10_000))
            if answer.status_code != 201:
                break
            taken.append(f"n{n}")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert 10 < len(taken) < 30
        assert sum(path.stat().st_size for path in rig.segments()) <= 256 * 1024
        assert client.post("/", content=b'"' + b"x" * 300_000 + b'"').status_code == 413
        rig.receiver.accept()
        wait_until(lambda: client.post(BULK, content=bulk("after", size=10_000)).status_code == 201)
        rig.wait_for(*taken, "after")
        wait_until(lambda: len(rig.segments()) <= 1, what="delivered segments to be removed")
        assert process.stop() == 0
    assert set(rig.receiver.ids()) == {*taken, "after"}
    assert set(rig.receiver.ids().values()) == {1}, "sent twice without a fault"


def test_a_segment_stays_until_the_last_destination_has_it(rig: Rig) -> None:
    with Receiver() as slow:
        slow.refuse()
        second = {
            "name": "slow",
            "destination_type": "webhook",
            "location": slow.url,
            "delivery": {"retry": {"base": "50ms", "cap": "200ms"}},
        }
        rig.configure(second, spool={"max_bytes": "1MiB"})
        names = [f"n{i}" for i in range(8)]
        with rig.process() as process, rig.client(process) as client:
            for name in names:
                assert client.post(BULK, content=bulk(name, size=100_000)).status_code == 201
            rig.wait_for(*names)
            time.sleep(1)  # in which an impatient agent would have removed them
            assert len(rig.segments()) >= 2
            process.kill()
        slow.accept()
        with rig.process() as process:
            wait_until(lambda: set(slow.ids()) == set(names))
            wait_until(lambda: len(rig.segments()) <= 1)
            assert process.stop() == 0


def test_a_destination_that_is_replaced_by_a_reload_misses_nothing_of_the_spool(rig: Rig) -> None:
    with Receiver(answer=lambda _request: Reply(hang=True)) as slow:
        second = {"name": "slow", "destination_type": "webhook", "location": slow.url}
        rig.configure(second, spool={"max_bytes": "1MiB"})
        names = [f"n{i}" for i in range(6)]
        with rig.process() as process, rig.client(process) as client:
            for name in names:
                assert client.post(BULK, content=bulk(name, size=100_000)).status_code == 201
            rig.wait_for(*names)
            wait_until(lambda: slow.requests)
            rig.configure(second | {"comment": "changed"}, spool={"max_bytes": "1MiB"})
            slow.answer = lambda _request: Reply()
            process.signal(signal.SIGHUP)
            wait_until(lambda: set(slow.ids()) == set(names), on_timeout=process.output)
            assert process.stop() == 0


def test_a_new_destination_gets_what_is_still_in_the_spool_and_a_disabled_one_holds_nothing_back(rig: Rig) -> None:
    with Receiver() as other:
        second = {"name": "other", "destination_type": "webhook", "location": other.url, "enabled": False}
        rig.configure(second, spool={"max_bytes": "1MiB"})
        names = [f"n{i}" for i in range(8)]
        with rig.process() as process, rig.client(process) as client:
            for name in names:
                assert client.post(BULK, content=bulk(name, size=100_000)).status_code == 201
            rig.wait_for(*names)
            wait_until(lambda: len(rig.segments()) == 1)
            left = {json.loads(line)["unique_id"] for line in rig.segments()[0].read_bytes().splitlines()}
            assert left
            rig.configure(second | {"enabled": True}, spool={"max_bytes": "1MiB"})
            process.signal(signal.SIGHUP)
            wait_until(lambda: set(other.ids()) == left, on_timeout=process.output)
            assert process.stop() == 0


def test_while_the_disk_fails_nothing_is_acknowledged_and_afterwards_it_goes_on(rig: Rig) -> None:
    with rig.process() as process, rig.client(process) as client:
        assert client.post(BULK, content=bulk("before")).status_code == 201
        rig.wait_for("before")
        assert process.process
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        answer = client.post(BULK, content=bulk("large", size=600_000))
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert client.post(BULK, content=bulk("after")).status_code == 201
        rig.wait_for("after")
        assert process.stop() == 0
    assert set(rig.receiver.ids()) == {"before", "after"}
    assert "source_in_trouble" in process.output()


def test_what_a_destination_refuses_by_id_is_rejected_and_not_its_neighbours(rig: Rig) -> None:
    rig.receiver.answer = lambda request: Reply(
        body=processed(discard=[name for name in request.ids() if name == "poor"])
    )
    with rig.process() as process, rig.client(process) as client:
        assert client.post(BULK, content=bulk("rich", "poor", "other")).status_code == 201
        process.wait_for_output("events_rejected")
        assert process.stop() == 0
    [rejects] = (rig.folder / "state" / "rejects" / "sink").glob("*.jsonl")
    assert [json.loads(line)["event"]["unique_id"] for line in rejects.read_bytes().splitlines()] == ["poor"]


def test_a_reload_goes_on_at_the_same_address_with_the_new_settings(rig: Rig) -> None:
    address = f"unix:{rig.folder / 'p.sock'}"
    rig.configure(listen=address, fields={"round": 1})
    with rig.process() as process, rig.client(process) as client:
        assert client.post("/", content=b'{"n":1}').status_code == 201
        wait_until(lambda: len(rig.receiver.events()) == 1)
        rig.configure(listen=address, fields={"round": 2})
        process.signal(signal.SIGHUP)
        process.wait_for_output("config_reloaded")
        wait_until(lambda: process.output().count("source_listening") == 2, on_timeout=process.output)
        assert client.post("/", content=b'{"n":2}').status_code == 201
        wait_until(lambda: len(rig.receiver.events()) == 2, on_timeout=process.output)
        assert process.stop() == 0
    assert [event["event"]["round"] for event in rig.receiver.events()] == [1, 2]


def test_once_ships_what_was_spooled_and_listens_to_nobody(rig: Rig) -> None:
    rig.receiver.refuse()
    with rig.process() as process, rig.client(process) as client:
        assert client.post(BULK, content=bulk("kept")).status_code == 201
        process.stop()
    rig.receiver.accept()
    done = command("run", "--once", "-c", str(rig.config))
    assert done.returncode == 0, done.stderr
    assert "source_listening" not in done.stderr
    assert set(rig.receiver.ids()) == {"kept"}


def test_with_tls_and_a_token_only_who_knows_it_may_post(rig: Rig) -> None:
    authority = Authority(rig.folder)
    pair = authority.sign("push")
    (rig.folder / "token").write_text("s3cret\n")
    rig.configure(
        token="${file:%s}" % (rig.folder / "token"), tls={"cert_file": str(pair.cert), "key_file": str(pair.key)}
    )
    with (
        rig.process() as process,
        rig.client(process, verify=ssl.create_default_context(cafile=str(authority.ca))) as client,
    ):
        assert client.post(BULK, content=bulk("a")).status_code == 401
        assert client.post(BULK, content=bulk("a"), headers={"Authorization": "Bearer wrong"}).status_code == 401
        allowed = {"Authorization": "Bearer s3cret"}
        assert client.post(BULK, content=bulk("b"), headers=allowed).status_code == 201
        rig.wait_for("b")
        (rig.folder / "token").write_text("rotated\n")
        assert client.post(BULK, content=bulk("c"), headers=allowed).status_code == 401
    assert set(rig.receiver.ids()) == {"b"}
    assert "s3cret" not in process.output()


def test_a_web_page_may_not_post(rig: Rig) -> None:
    with rig.process() as process, rig.client(process) as client:
        answer = client.post("/", content=b"{}", headers={"Origin": "https://example.net"})
        assert answer.status_code == 403


def test_a_spool_that_cannot_be_opened_keeps_no_other_source_from_working(rig: Rig) -> None:
    (rig.folder / "app.log").write_text('{"n":1}\n')
    (rig.folder / "state").mkdir()
    (rig.folder / "state" / "spool").write_text("in the way")
    config = write_config(
        rig.folder / "config.yaml",
        agent={"state_dir": str(rig.folder / "state"), "log_format": "json"},
        sources=[
            {"name": "push", "type": "http", "listen": "127.0.0.1:0"},
            {"name": "app", "include": [str(rig.folder / "app.log")]},
        ],
        destinations=[{"name": "sink", "destination_type": "webhook", "location": rig.receiver.url}],
    )
    done = command("run", "--once", "-c", str(config))
    assert done.returncode == 1
    assert "push: not read: spool" in done.stderr
    assert len(rig.receiver.ids()) == 1
    with rig.process() as process:
        process.wait_for_output("agent_started")
        (rig.folder / "state" / "spool").unlink()
        with rig.client(process) as client:
            assert client.post(BULK, content=bulk("late")).status_code == 201
            rig.wait_for("late")


def test_an_address_that_is_taken_keeps_no_other_source_from_working(rig: Rig) -> None:
    (rig.folder / "app.log").write_text('{"n":1}\n')
    with rig.process() as first, rig.client(first) as client:
        rig.folder.joinpath("second").mkdir()
        config = write_config(
            rig.folder / "second" / "config.yaml",
            agent={"state_dir": str(rig.folder / "second" / "state")},
            sources=[
                {"name": "push", "type": "http", "listen": f"127.0.0.1:{client.base_url.port}"},
                {"name": "app", "include": [str(rig.folder / "app.log")]},
            ],
            destinations=[{"name": "sink", "destination_type": "webhook", "location": rig.receiver.url}],
        )
        with AgentProcess(config) as process:
            process.wait_for_output("source_in_trouble")
            wait_until(lambda: len(rig.receiver.ids()) == 1, on_timeout=process.output)
            assert first.stop() == 0
            process.wait_for_output("source_listening")
