"""What rejects look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.cli.rejects_view import listing, printable, show, summary
from agent.lane.rejects import Reject
from agent.lane.rejects.reader import Found, Key

if TYPE_CHECKING:
    import pytest

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e [red]no[/red]"


def found(**members: object) -> Found:
    given = {
        "time": "2026-05-04T12:00:00.000000Z",
        "destination": "hook",
        "counter": "drop_rejected",
        "reason": HOSTILE,
        "excerpt": HOSTILE,
        "event": msgspec.Raw(b'{"unique_id":"s.0","event":{"text":"\\u001b[2J"}}'),
    }
    return Found(Key(Path("f"), b""), msgspec.convert(given | members, Reject))


def test_an_answer_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for view in (listing, summary, show):
        view([found()], as_json=False)
    shown = capsys.readouterr().out
    assert "owned" in shown and "[red]no[/red]" in shown
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_what_is_not_there_is_a_dash() -> None:
    assert printable(None) == "-"


def test_counts_come_most_first(capsys: pytest.CaptureFixture[str]) -> None:
    summary([found(reason="rare"), found(reason="often"), found(reason="often")], as_json=False)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["rejects", "2", "1"]


def test_nothing_is_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    for view in (listing, summary, show):
        view([], as_json=False)
    assert capsys.readouterr().out == ""
