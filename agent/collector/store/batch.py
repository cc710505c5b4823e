"""Requests' events as rows for one transaction. Pure but for the clock."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from agent.collector.store.incoming import Incoming
from agent.collector.store.key import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.receive.envelope import Row


@dataclass(slots=True, kw_only=True)
class Job:
    """One request's events, and what became of them."""

    org_id: str
    rows: Sequence[Row]
    done: anyio.Event = field(default_factory=anyio.Event)
    duplicates: list[str] = field(default_factory=list)
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The events of several requests, numbered in the order of the requests."""

    events: list[Incoming]
    jobs: Sequence[Job]
    first: int
    """The id of the first event of the first request; the others follow without a gap."""

    def without_repetitions(self) -> Batch:
        """Return the same with each key once; what is left out is noted as a duplicate."""
        seen: set[tuple[int, bytes, int]] = set()
        kept: list[Incoming] = []
        for event in self.events:
            whole = (event.org, event.stream, event.position)
            if whole in seen:
                self.note(event.id)
            else:
                seen.add(whole)
                kept.append(event)
        return Batch(events=kept, jobs=self.jobs, first=self.first)

    def note(self, id_: int) -> None:
        """Note at its request that the event numbered ``id_`` was there already."""
        starts = [0]
        for job in self.jobs:
            starts.append(starts[-1] + len(job.rows))
        place = id_ - self.first
        number = bisect_right(starts, place) - 1
        job = self.jobs[number]
        job.duplicates.append(job.rows[place - starts[number]].unique_id)


def numbered(jobs: Sequence[Job], orgs: dict[str, int], last: int) -> Batch:
    """Return the events of ``jobs``, numbered from the one after ``last`` on."""
    now = time.time_ns() // 1000
    events: list[Incoming] = []
    number = last
    for job in jobs:
        org = orgs[job.org_id]
        for row in job.rows:
            number += 1
            stream, position = key(row.unique_id)
            events.append(Incoming(number, org, now, stream, position, row.log_type, row.hostname, row.envelope))
    return Batch(events=events, jobs=jobs, first=last + 1)
