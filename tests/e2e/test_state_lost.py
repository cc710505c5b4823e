"""state.db is taken away or damaged between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes import command, write_config
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("loss", ["missing", "damaged"])
def test_pain_14_a_lost_state_is_said_and_everything_is_sent_again_under_the_same_ids(
    tmp_path: Path, loss: str
) -> None:
    logs, state = tmp_path / "logs", tmp_path / "state"
    logs.mkdir()
    with Receiver() as receiver:
        config = write_config(
            tmp_path / "config.yaml",
            agent={"state_dir": str(state)},
            sources=[{"name": "app", "include": [f"{logs}/*.log"], "start_at": "end"}],
            destinations=[{"name": "sink", "destination_type": "webhook", "location": receiver.url}],
        )
        first = command("run", "--once", "-c", str(config))
        assert "state_created" in first.stderr and "state_lost" not in first.stderr
        (logs / "app.log").write_text("".join(f'{{"n": {n}}}\n' for n in range(10)))
        assert command("run", "--once", "-c", str(config)).returncode == 0
        before = receiver.ids()
        assert len(before) == 10
        with (logs / "app.log").open("a") as file:
            file.write('{"n": 10}\n')  # never sent: it must not be skipped as start_at: end would
        for path in state.glob("state.db*"):
            path.write_bytes(b"damaged") if loss == "damaged" else path.unlink()
        again = command("run", "--once", "-c", str(config))
        assert again.returncode == 0
        assert "state_lost" in again.stderr
        assert [event["unique_id"] for event in receiver.events()][10:20] == list(before)
        assert len(receiver.events()) == 21
