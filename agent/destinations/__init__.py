"""Where audit events go: one file per destination type (WIRE 5), one attempt per call, an answer per event.

A type has ``problems(config)``, ``warnings(config)`` and a builder, and one line in ``TYPES``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog

from agent.config.model import HeldPlace
from agent.destinations import file, webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.model import DestinationConfig
    from agent.destinations.base import Destination

log = structlog.get_logger(__name__)

Finding = tuple[str, str, str]
"""Key below the destination, what was found, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """What the registry knows of one destination type."""

    build: Callable[[DestinationConfig], Destination]
    problems: Callable[[DestinationConfig], list[Finding]]
    warnings: Callable[[DestinationConfig], list[Finding]]


TYPES: Mapping[str, Type] = MappingProxyType(
    {
        "file": Type(build=file.File, problems=file.problems, warnings=file.warnings),
        "webhook": Type(build=webhook.Webhook, problems=webhook.problems, warnings=webhook.warnings),
    }
)

PLANNED = frozenset({"syslog", "graylog", "connector", "google_secops"})
"""Types of the API that this version cannot deliver to."""


def problems(config: DestinationConfig) -> list[Finding]:
    """Return why ``config`` cannot work. Reads certificate files; resolves no secret, opens no connection."""
    if known := TYPES.get(config.destination_type):
        return known.problems(config)
    reason = " (not supported yet by this version)" if config.destination_type in PLANNED else ""
    return [("destination_type", f"{config.destination_type!r}{reason}", ", ".join(TYPES))]


def warnings(config: DestinationConfig) -> list[Finding]:
    """Return what works and is risky, such as credentials over plain http."""
    known = TYPES.get(config.destination_type)
    return known.warnings(config) if known else []


def build(config: DestinationConfig) -> Destination:
    """Return the destination; does no I/O and warns of what is risky in ``config``.

    Raises ``ValueError`` for a type, location, format or authentication that ``problems`` reports, and for one that
    only keeps its place.
    """
    if isinstance(config, HeldPlace):
        raise ValueError(config.problem)  # noqa: TRY004 # as for whatever cannot be built
    known = TYPES.get(config.destination_type)
    if known is None:
        _, found, allowed = problems(config)[0]
        raise ValueError(f"destination_type: found {found}; allowed: {allowed}")
    for key, found, better in known.warnings(config):
        log.warning("destination_risk", destination=config.name, key=key, found=found, better=better)
    return known.build(config)
