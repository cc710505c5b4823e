"""A file destination as receiver: every member is read once, whatever ids its events have."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from agent.errors import AgentError
from agent.events import unique_id
from agent.reconcile.jsonl import Jsonl
from agent.reconcile.receiver import Others

if TYPE_CHECKING:
    from pathlib import Path

OURS, THEIRS = "a" * 32, "b" * 32


def event(name: str, *, source: str = "me", **more: object) -> bytes:
    made = {"unique_id": name, "create_time": "2026-05-04T12:00:00Z", "event": {"source_id": source}}
    return json.dumps(made | more, separators=(",", ":")).encode() + b"\n"


def events(stream: str, offsets: range | list[int], **more: str) -> bytes:
    return b"".join(event(unique_id(stream, offset), **more) for offset in offsets)


def test_live_rotated_and_compressed_members_are_read_together(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    (tmp_path / "audits-20260504T120000.000.log.gz").write_bytes(gzip.compress(events(OURS, range(10, 20))))
    (tmp_path / "audits-20260504T130000.000.log").write_bytes(events(OURS, range(10)))
    live.write_bytes(events(OURS, [300, 25, 25]))
    (tmp_path / "other-20260504T130000.000.log").write_bytes(events(OURS, [999]))
    assert list(Jsonl(str(live)).offsets(OURS)) == [*range(20), 25, 25, 300]


def test_a_member_that_is_being_compressed_counts_once(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    member = tmp_path / "audits-20260504T120000.000.log"
    member.write_bytes(events(OURS, range(5)))
    member.with_name(f"{member.name}.gz").write_bytes(gzip.compress(member.read_bytes()))
    live.write_bytes(b"")
    assert list(Jsonl(str(live)).offsets(OURS)) == [0, 1, 2, 3, 4]


def test_a_torn_last_line_was_never_acknowledged_and_other_lines_that_are_none_are_counted(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(events(OURS, [1]) + b"junk\n\n[]\n" + events(OURS, [2]) + events(OURS, [3])[:-1])
    receiver = Jsonl(str(live))
    assert list(receiver.offsets(OURS)) == [1, 2]
    assert receiver.damaged == 2


def test_an_event_written_by_another_program_is_found_by_its_id(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(b'{ "event": {}, "unique_id": "%s" }\n' % unique_id(OURS, 4096).encode())
    assert list(Jsonl(str(live)).offsets(OURS)) == [4096]


def test_ids_that_programs_gave_are_counted_and_known_once_they_were_asked_for(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(event("x-1") + event("x-1") + event("x-2") + events(THEIRS, [7, 9]))
    receiver = Jsonl(str(live))
    assert receiver.copies("x-1") == 2
    assert receiver.copies("x-3") == 0
    assert receiver.copies(unique_id(THEIRS, 7)) == 1
    assert receiver.others([], agent_id="me") == Others(own=2)


def test_what_was_not_asked_about_is_told_apart_by_its_agent(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(
        events(OURS, [1]) + events(THEIRS, [1, 2], source="you") + event("p-1") + event("q-1", source="you")
    )
    assert Jsonl(str(live)).others([OURS], agent_id="me") == Others(own=1, foreign=3)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"audits\.log: no such file"):
        Jsonl(str(tmp_path / "audits.log"))
    with pytest.raises(AgentError, match="nowhere"):
        Jsonl(str(tmp_path / "nowhere" / "audits.log"))


def test_a_damaged_member_is_an_error_that_names_it(tmp_path: Path) -> None:
    live = tmp_path / "audits.log"
    live.write_bytes(b"")
    whole = gzip.compress(events(OURS, range(1000)))
    (tmp_path / "audits-20260504T120000.000.log.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AgentError, match=r"audits-20260504T120000\.000\.log\.gz: cannot be read"):
        Jsonl(str(live))
