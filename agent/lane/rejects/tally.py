"""How many rejects were sent again, by destination and outcome: one small file that a command adds to, an agent reads.

A replay is a process of its own; without this file its deliveries would be in no metric of the running agent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from agent.lane.rejects import folders

if TYPE_CHECKING:
    from pathlib import Path


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one destination that were sent again, since the file began."""

    accepted: int = 0
    refused: int = 0


_TALLIES = msgspec.json.Decoder(dict[str, Tally])


def read(rejects: Path) -> dict[str, Tally]:
    """Return the tallies by destination; a file that is missing or damaged counts from zero. Raises ``OSError``."""
    try:
        return _TALLIES.decode(_file(rejects).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def add(rejects: Path, destination: str, *, accepted: int, refused: int) -> None:
    """Add to the tally of ``destination``, durably; a reader sees the old file or the new one. Raises ``OSError``."""
    with folders.locked(rejects):
        tallies = read(rejects)
        old = tallies.get(destination, Tally())
        tallies[destination] = Tally(accepted=old.accepted + accepted, refused=old.refused + refused)
        new = folders.half_written(_file(rejects))
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as out:
            folders.belong(out.fileno(), rejects)
            out.write(msgspec.json.encode(tallies))
            out.flush()
            os.fsync(out.fileno())
        new.rename(_file(rejects))
        folders.fsync(rejects)


def _file(rejects: Path) -> Path:
    return rejects / "replayed.json"
