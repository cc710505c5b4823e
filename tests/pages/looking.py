"""What the tests of the pages share: a collector with events and agents, and a browser that is watched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.collector.calls import Process

TOKEN = "page-test-token"  # of these tests


class Collector:
    """A collector as a process, and a client with its token."""

    def __init__(self, process: Process) -> None:
        self.url = process.url()
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )

    def put(self, *events: dict[str, Any] | bytes) -> None:
        """Have events stored; bytes are taken as they are."""
        bodies = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
        answer = self.http.post("/v1/bulk_audit_events", content=b'{"events":[' + b",".join(bodies) + b"]}")
        assert answer.status_code == 201, answer.text
        assert answer.json()["discard_events"] == []

    def keep(self, name: str, **spec: Any) -> None:
        """Have a destination kept for agents."""
        given = {
            "name": name,
            "destination_type": "webhook",
            "enabled": True,
            "filters": [],
            "comment": "",
            "org_id": "default",
            "location": "https://soc.example.net/",
            **spec,
        }
        answer = self.http.post("/v1/audit_destinations", json={"spec": given})
        assert answer.status_code == 201, answer.text

    def report(self, agent_id: str, **status: Any) -> httpx.Response:
        """Tell how an agent is."""
        body: dict[str, Any] = {"connector_instance_id": agent_id, "collection_time": datetime.now(UTC).isoformat()}
        total = {"destination_stats": {"destination_summary_stats": {"total_sent": status.pop("sent", 0)}}}
        body["audit_stats"] = {"audit_totals": total, "audit_destination_stats": []}
        return self.http.post(
            f"/v1/agent_connectors/{agent_id}/dynamic_stats",
            json={**body, "agent_status": {"hostname": agent_id, **status}},
        )


def event(name: str, **members: Any) -> dict[str, Any]:
    """Return an envelope whose event has ``members``."""
    return {"unique_id": name, "create_time": "2026-05-04T12:00:00Z", "event": {"log_type": "logs", **members}}


def lane(name: str = "soc", **more: Any) -> dict[str, Any]:
    """Return how a destination is, as an agent reports it."""
    return {"name": name, "type": "webhook", "location": "https://soc.example.net/hook", "state": "idle", **more}


def watched(page: Page) -> list[str]:
    """Return the list to which errors, dialogs and requests to elsewhere are added as they come."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("console", lambda said: complaints.append(f"console: {said.text}") if "Policy" in said.text else None)
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("http://127.0.0.1", "data:")) else complaints.append(asked.url),
    )
    return complaints


def log_in(page: Page, *, at: str = "/events") -> None:
    """Enter the token at a page that asks for it."""
    page.goto(at)
    page.fill("#token", TOKEN)
    page.press("#token", "Enter")
    page.wait_for_selector("main h1 >> nth=0")
    page.wait_for_selector(".top")
