"""An agent tells a collector how it is: enough to see what is wrong, no secret, and never at delivery's expense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from tests.collector.calls import Process
from tests.support.logwriter import LogWriter
from tests.support.processes import AgentProcess, wait_until, write_config
from tests.support.receiver import Receiver, Reply

if TYPE_CHECKING:
    from pathlib import Path

AGENT = "a-1"
PATH = f"/v1/agent_connectors/{AGENT}/dynamic_stats"


def configured(folder: Path, *, location: str, **report: Any) -> tuple[Path, LogWriter]:
    """Return a configuration that ships one log to ``location``, and the log's writer."""
    (folder / "logs").mkdir()
    delivery = {"retry": {"base": "50ms", "cap": "200ms"}}
    config = write_config(
        folder / "config.yaml",
        agent={"id": AGENT, "state_dir": str(folder / "state"), "hostname": "edge-07"},
        sources=[{"name": "app", "include": [f"{folder}/logs/*.log"]}],
        destinations=[{"name": "sink", "destination_type": "webhook", "location": location, "delivery": delivery}],
        report={"interval": 1, **report},
    )
    return config, LogWriter(folder / "logs" / "app.log")


def test_a_collector_hears_what_was_sent_what_was_refused_and_why(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("the-token\n")
    collector = Process(tmp_path, "--token-file", str(tokens))
    try:
        headers = {"Authorization": "Bearer the-token"}
        with (
            httpx.Client(base_url=collector.url(), headers=headers, trust_env=False) as client,
            Receiver() as receiver,
        ):
            location = f"{receiver.url}?key=hidden-in-the-address"
            config, writer = configured(tmp_path, location=location, stats_url=collector.url(), token="the-token")

            def told() -> dict[str, Any]:
                answer = client.get(PATH)
                return answer.json() if answer.status_code == 200 else {}

            def summary() -> dict[str, int]:
                totals = told().get("audit_totals", {}).get("destination_stats", {})
                found: dict[str, int] = totals.get("destination_summary_stats", {})
                return found

            with AgentProcess(config) as agent:
                writer.write(50)
                wait_until(lambda: summary().get("total_sent") == 50, what="50 sent")
                receiver.script(*[Reply(status=400)] * 3)
                writer.write_at_once(3)  # one request as a rule, three at most; each is refused
                wait_until(lambda: summary().get("total_dropped") == 3, what="3 refused")
                assert agent.stop() == 0
                assert "the-token" not in agent.output()
            (breakdown,) = told()["audit_breakdown"]
            assert breakdown["instance_id"] == AGENT
            assert breakdown["audit_destination_id"] == "sink"
            assert client.get(PATH, params={"collected_since": "2100-01-01T00:00:00Z"}).status_code == 404
            page = _rejects_page(client)
            assert "edge-07" in page
            assert "hidden-in-the-address" not in page
    finally:
        collector.process.terminate()
        collector.process.wait(60)


def _rejects_page(client: httpx.Client) -> str:
    login = client.post("/login", data={"token": "the-token"})
    assert login.status_code == 303
    return client.get("/rejects").text + client.get("/destinations").text


def test_a_collector_that_is_down_or_wrong_is_said_once_and_delays_nothing(tmp_path: Path) -> None:
    failing = Receiver(answer=lambda _request: Reply(status=500, body=b"x" * 100_000))
    with Receiver() as receiver, failing as wrong:
        config, writer = configured(tmp_path, location=receiver.url, stats_url=wrong.url)
        with AgentProcess(config) as agent:
            wait_until(lambda: len(wrong.requests) >= 3, what="three reports")
            writer.write(100)
            wait_until(lambda: len(receiver.events()) == 100, what="100 events")
            assert agent.stop() == 0
            output = agent.output()
    assert output.count("report_failed") == 1
    assert "HTTP 500" in output


def test_no_event_is_in_a_report(tmp_path: Path) -> None:
    refusing = Receiver(answer=lambda _request: Reply(status=400, body=b"no"))
    with refusing as receiver, Receiver() as collector:
        config, writer = configured(tmp_path, location=receiver.url, stats_url=collector.url)
        with AgentProcess(config) as agent:
            writer.write(5)
            wait_until(
                lambda: any(b"drop_rejected" in r.body and b'"status":400' in r.body for r in collector.requests)
            )
            assert agent.stop() == 0
    for request in collector.requests:
        assert b"xxxxx" not in request.body
        assert json.loads(request.body)["connector_instance_id"] == AGENT
