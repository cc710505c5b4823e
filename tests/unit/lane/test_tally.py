"""How many rejects were sent again, counted in a file that may be damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from agent.lane.rejects import tally
from agent.lane.rejects.tally import Tallies, Tally

if TYPE_CHECKING:
    from pathlib import Path


def test_every_replay_adds_to_what_its_destination_has(tmp_path: Path) -> None:
    assert Tallies(tmp_path).read() == {}
    tally.add(tmp_path, "soc", accepted=3, refused=1)
    tally.add(tmp_path, "soc", accepted=1, refused=0)
    tally.add(tmp_path, "archive", accepted=0, refused=2)
    assert Tallies(tmp_path).read() == {"soc": Tally(accepted=4, refused=1), "archive": Tally(refused=2)}


def test_a_damaged_tally_counts_from_zero_and_that_is_said_once_until_it_is_whole_again(tmp_path: Path) -> None:
    tally.add(tmp_path, "soc", accepted=3, refused=1)
    (tmp_path / "replayed.json").write_bytes(b'{"soc": {"accep')
    tallies = Tallies(tmp_path)
    with structlog.testing.capture_logs() as logged:
        assert tallies.read() == tallies.read() == {}
    assert [(entry["event"], entry["log_level"]) for entry in logged] == [("replay_tally_damaged", "warning")]
    assert str(tmp_path / "replayed.json") in logged[0]["path"]
    with structlog.testing.capture_logs() as logged:
        tally.add(tmp_path, "soc", accepted=1, refused=0)
        assert tallies.read() == {"soc": Tally(accepted=1)}
    assert [entry["event"] for entry in logged] == ["replay_tally_damaged"]
