"""Events on their way into the database, in the order of the table's columns."""

from __future__ import annotations

from typing import NamedTuple


class Incoming(NamedTuple):
    """One event as a row of ``events``; a tuple, for drivers take it as it is."""

    id: int
    org: int
    received_at: int
    stream: bytes
    position: int
    log_type: str
    hostname: str
    envelope: bytes
