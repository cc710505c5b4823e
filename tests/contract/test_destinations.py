"""What every registered destination promises: walks the registry, so a new type is tested by being registered."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from agent import destinations
from agent.config.model import Authentication, Delivery, DestinationConfig, HttpBasic, HttpBearer
from agent.config.secrets import Secret
from agent.destinations import base
from tests.support.receiver import Receiver, Reply, processed
from tests.support.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio

HIDDEN = "hunter2-the-secret"
SENT = transaction(5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(params=sorted(destinations.TYPES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(kind: str, receiver: Receiver, tmp_path: Path) -> DestinationConfig:
    """An example of each type, with secrets wherever the type takes them."""
    examples: dict[str, dict[str, Any]] = {
        "file": {"location": f"file://{tmp_path}/new/audits.log"},
        "webhook": {
            "location": receiver.url,
            "authentication": Authentication(
                authentication_type="http_basic",
                http_basic=HttpBasic(username="shipper", password=Secret(HIDDEN)),
            ),
            "delivery": Delivery(headers={"X-Api-Key": Secret(HIDDEN)}),
        },
    }
    return DestinationConfig(name="example", destination_type=kind, **examples[kind])


def test_the_example_has_no_problems(config: DestinationConfig) -> None:
    assert destinations.problems(config) == []


async def test_building_does_no_io(config: DestinationConfig, receiver: Receiver, tmp_path: Path) -> None:
    destination = destinations.build(config)
    await destination.aclose()
    assert receiver.connections == 0
    assert not children(tmp_path)


def test_building_needs_no_event_loop(config: DestinationConfig) -> None:
    assert destinations.build(config)


async def test_a_delivered_transaction_is_accepted(config: DestinationConfig) -> None:
    destination = destinations.build(config)
    assert await destination.attempt(SENT) == base.ACCEPTED
    await destination.aclose()


async def test_nothing_is_left_running(config: DestinationConfig) -> None:
    before = {t for t in threading.enumerate() if "worker" not in t.name.lower()}
    destination = destinations.build(config)
    await destination.attempt(SENT)
    await destination.aclose()
    await anyio.wait_all_tasks_blocked()
    after = {t for t in threading.enumerate() if "worker" not in t.name.lower()}
    assert {t.name for t in after - before if not t.name.startswith("Trio")} == set()


async def test_an_attempt_can_be_cancelled_and_the_next_one_works(
    config: DestinationConfig, receiver: Receiver
) -> None:
    receiver.script(Reply(hang=True))
    destination = destinations.build(config)
    with anyio.move_on_after(0.2):
        await destination.attempt(SENT)
    receiver.script()
    assert await destination.attempt(SENT) == base.ACCEPTED
    await destination.aclose()


async def test_no_secret_in_repr_or_logs(
    config: DestinationConfig, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        destination = destinations.build(config)
        receiver.script(Reply(201), Reply(401), Reply(403), Reply(500, b"x"), Reply(drop=True))
        answers = [await destination.attempt(SENT) for _ in range(5)]
        await destination.aclose()
    shown = f"{destination!r} {config!r} {answers} {logged} {caplog.text}"
    assert HIDDEN not in shown
    assert "log_type" not in f"{logged} {caplog.text}"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(201), Reply(400), Reply(401), Reply(413), Reply(429), Reply(500), Reply(drop=True), Reply(cut=True),
        Reply(201, processed(discard=["s.0"], retry=["s.1", "s.2"])),
        Reply(201, processed(["s.0"], ["s.0"], ["s.0"])),
    ],
)  # fmt: skip
async def test_the_outcomes_partition_the_transaction(
    config: DestinationConfig, receiver: Receiver, reply: Reply
) -> None:
    receiver.script(reply, reply)
    destination = destinations.build(config)
    answer = await destination.attempt(SENT)
    await destination.aclose()
    pending = list(answer.pending)
    assert pending == sorted(set(pending))
    assert not set(pending) & set(answer.rejected)
    assert set(pending) | set(answer.rejected) <= set(range(len(SENT)))
    assert bool(pending) == (answer.failure is not None)


@pytest.mark.parametrize("name", ["syslog", "graylog", "connector", "google_secops", "carrier_pigeon", ""])
def test_an_unknown_type_is_a_mistake_that_names_the_known_ones(name: str) -> None:
    config = DestinationConfig(name="example", destination_type=name, location="x")
    assert [key for key, _, _ in destinations.problems(config)] == ["destination_type"]
    with pytest.raises(ValueError, match=r"destination_type: found .* allowed: file, webhook"):
        destinations.build(config)


def test_what_is_risky_is_logged_when_built(receiver: Receiver) -> None:
    config = DestinationConfig(
        name="example",
        destination_type="webhook",
        location=receiver.url,
        authentication=Authentication(authentication_type="http_bearer", http_bearer=HttpBearer(token=Secret(HIDDEN))),
    )
    with structlog.testing.capture_logs() as logged:
        destinations.build(config)
    assert [(entry["event"], entry["key"]) for entry in logged] == [("destination_risk", "location")]


def children(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]
