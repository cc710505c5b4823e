"""How many rejects were sent again, by destination and outcome: one small file that a command adds to, an agent reads.

A replay is a process of its own; without this file its deliveries would be in no metric of the running agent.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import structlog

from agent.lane.rejects import folders

if TYPE_CHECKING:
    from pathlib import Path


log = structlog.get_logger(__name__)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one destination that were sent again, since the file began."""

    accepted: int = 0
    refused: int = 0


_TALLIES = msgspec.json.Decoder(dict[str, Tally])


class Tallies:
    """The file, read again and again. One that is damaged counts from zero, and that is said once."""

    def __init__(self, rejects: Path) -> None:
        """Touch nothing."""
        self._file = _file(rejects)
        self._said = False

    def read(self) -> dict[str, Tally]:
        """Return the tallies by destination; none when there is no file, or a damaged one. Raises ``OSError``."""
        try:
            found = _TALLIES.decode(self._file.read_bytes())
        except FileNotFoundError:
            found = {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if not self._said:
                said = "what was sent again is counted from zero"
                log.warning("replay_tally_damaged", path=str(self._file), error=str(error), then=said)
            self._said = True
            return {}
        self._said = False
        return found


def add(rejects: Path, destination: str, *, accepted: int, refused: int) -> None:
    """Add to the tally of ``destination``, durably; a reader sees the old file or the new one. Raises ``OSError``."""
    with folders.locked(rejects):
        tallies = Tallies(rejects).read()
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
