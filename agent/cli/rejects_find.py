"""Which rejects a command means, and whose destination is not there any more."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from agent.api.remote import title
from agent.app.remote_list import recall, wanted
from agent.errors import UsageError
from agent.lane.rejects.reader import Selection, read_all

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from agent.config.model import Config
    from agent.lane.rejects.reader import Found


def find(arguments: argparse.Namespace, config: Config) -> list[Found]:
    """Return the rejects that are meant. A destination that is neither configured nor has any is wrong usage."""
    selection = Selection(
        destination=arguments.destination,
        reason=arguments.reason,
        since=arguments.since,
        until=arguments.until,
        unique_id=arguments.id,
    )
    names = {destination.name for destination in config.destinations}
    found: list[Found] = []
    damaged = 0
    for each in read_all(Path(config.agent.state_dir)):
        if each.reject is None:
            damaged += 1
            continue
        names.add(each.reject.destination)
        if selection.matches(each.reject) and (arguments.limit is None or len(found) < arguments.limit):
            found.append(each)
    if damaged:
        print(f"audit-agent: {damaged} lines of rejects are damaged; they are left alone", file=sys.stderr)
    if arguments.destination and arguments.destination not in names:
        raise UsageError(f"--destination: found {arguments.destination!r}; allowed: {', '.join(sorted(names))}")
    return found


def say_homeless(found: Iterable[Found], config: Config) -> None:
    """Say which of the rejects are of a destination that no one knows: it was renamed, or is gone."""
    names = {destination.name for destination in config.destinations}
    if wanted(config):
        if (remote := recall(config)) is None:
            return  # the API was never heard: nobody knows what is missing
        names |= {title(document) for document in remote.destinations}
    counts = Counter(each.reject.destination for each in found if each.reject)
    for name in sorted(counts.keys() - names):
        print(
            f"audit-agent: {counts[name]} are of {name!r}, which is not configured any more; "
            "to send them elsewhere: rejects replay --destination OLD --to NEW",
            file=sys.stderr,
        )
