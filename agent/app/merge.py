"""The destinations of the file and those of the API, side by side. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from agent.api.remote import Unusable, configuration, identifier
from agent.destinations.location import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.api.remote import Document
    from agent.config.model import Config, DestinationConfig


def merge(
    local: Config, documents: Iterable[Document], credentials: Mapping[str, Sequence[Document]]
) -> tuple[Config, list[Unusable]]:
    """Return ``local`` with the API's destinations added, and those of them that cannot be run, with the reason.

    A name belongs to whoever has it first, the file before the API; so does a file that is written to. One that cannot
    be run keeps its place as long as nobody else has its name.
    """
    destinations = list(local.destinations)
    names = {each.name: "the configuration file" for each in destinations}
    files = {path: each.name for each in destinations if (path := _file(each))}
    unusable = []
    for document in documents:
        made = configuration(document, credentials.get(identifier(document), ()), local.control_plane)
        if isinstance(made, Unusable):
            unusable.append(made)
            continue
        problem = None
        if made.name in names:
            problem = f"name: found {made.name!r}, which {names[made.name]} has; allowed: a name of its own"
        elif (path := _file(made)) and path in files:
            problem = f"location: found the file of {files[path]!r}; allowed: a file of its own for each destination"
        if problem:
            unusable.append(Unusable(id=made.id, name=made.name, problem=problem, enabled=made.enabled))
            continue
        names[made.name] = f"the API's destination {made.id}"
        if path := _file(made):
            files[path] = made.name
        destinations.append(made)
    for each in unusable:
        if each.name not in names and (place := each.place()):
            names[each.name] = f"the API's destination {each.id}"
            destinations.append(place)
    return msgspec.structs.replace(local, destinations=destinations), unusable


def _file(destination: DestinationConfig) -> str | None:
    if destination.destination_type != "file":
        return None
    try:
        return os.path.abspath(parse(destination.location).path)  # noqa: PTH100 # links stay links
    except ValueError:
        return None  # its lane says so
