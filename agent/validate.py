"""What only the registries know of a configuration: formats, destination types, filters."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from agent import auth, destinations
from agent.api.session import base_url
from agent.config.load import Loaded, load_with_warnings, unresolved_secrets
from agent.config.model import (
    ControlPlaneConfig,
    DestinationConfig,
    FileSourceConfig,
    HttpSourceConfig,
    ReportConfig,
    StdinSourceConfig,
)
from agent.config.platform import as_platform, identified
from agent.destinations.location import parse
from agent.errors import ConfigError
from agent.filters import misconfigured
from agent.loopback import plain_http_host
from agent.parsers import PARSERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.model import Config
    from agent.errors import Problem

log = structlog.get_logger(__name__)


def load_checked(path: str) -> Loaded:
    """Read ``path`` and note everything that is wrong or risky, short of running.

    Raises ``ConfigError`` when the file is no YAML at all.
    """
    loaded = load_with_warnings(path)
    found = [
        *_formats(loaded),
        *_control_plane(loaded),
        *_destinations(loaded),
        *_same_file(loaded),
        *unresolved_secrets(loaded),
    ]
    return replace(
        loaded,
        problems=[*loaded.problems, *loaded.new(found)],
        warnings=[*loaded.warnings, *_warnings(loaded)],
    )


def load_for_run(path: str) -> Config:
    """Return the configuration to run. Raises ``ConfigError`` with every problem that concerns the whole agent.

    What is wrong with one destination alone is left to its lane, which reports it and harms no other (WIRE 2).
    """
    loaded = load_with_warnings(path)
    problems = [*loaded.problems, *loaded.new([*_formats(loaded), *_control_plane(loaded)])]
    if problems or loaded.config is None:
        raise ConfigError(problems)
    for risk in _plain_http(loaded):
        log.warning("plain_http", key=risk.key, found=risk.found, allowed=risk.allowed)
    return identified(loaded.config)


def _formats(loaded: Loaded) -> Iterator[Problem]:
    kinds = (FileSourceConfig, HttpSourceConfig, StdinSourceConfig)
    for key, source in loaded.structs:
        if isinstance(source, kinds) and source.format not in PARSERS:
            yield loaded.problem(f"{key}.format", repr(source.format), ", ".join(sorted(PARSERS)))


def _control_plane(loaded: Loaded) -> Iterator[Problem]:
    for key, plane in loaded.each(ControlPlaneConfig):
        if plane.url is None:
            continue
        try:
            base_url(plane.url)
        except ValueError as error:
            found, _, allowed = str(error).removeprefix("url: found ").partition("; allowed: ")
            yield loaded.problem(f"{key}.url", found, allowed)
        for below, found, allowed in auth.problems(plane.authentication):
            yield loaded.problem(f"{key}.authentication.{below}", found, allowed)


def _destinations(loaded: Loaded) -> Iterator[Problem]:
    plane = loaded.config.control_plane if loaded.config else ControlPlaneConfig()
    for key, each in loaded.each(DestinationConfig):
        destination = as_platform(each, plane)
        for below, found, allowed in [*destinations.problems(destination), *misconfigured(destination)]:
            yield loaded.problem(f"{key}.{below}", found, allowed)


def _same_file(loaded: Loaded) -> Iterator[Problem]:
    """Two destinations in one file would cut each other's lines off when a write fails."""
    taken: dict[str, str] = {}
    for key, destination in loaded.each(DestinationConfig):
        if destination.destination_type != "file":
            continue
        try:
            path = os.path.abspath(parse(destination.location).path)  # noqa: PTH100 # links stay links
        except ValueError:
            continue  # said elsewhere
        if path in taken:
            found = f"{destination.location!r}, the file of {taken[path]}"
            yield loaded.problem(f"{key}.location", found, "a file of its own for each destination")
        taken.setdefault(path, destination.name)


def _plain_http(loaded: Loaded) -> Iterator[Problem]:
    """Whoever is on the way reads tokens and the destinations' secrets, and may send the events elsewhere."""
    urls = [(f"{key}.url", plane.url) for key, plane in loaded.each(ControlPlaneConfig)]
    urls += [(f"{key}.stats_url", report.stats_url) for key, report in loaded.each(ReportConfig)]
    for key, url in urls:
        if host := plain_http_host(url or ""):
            yield loaded.problem(key, f"plain http to {host}", "https, or http to this machine")


def _warnings(loaded: Loaded) -> Iterator[Problem]:
    yield from _plain_http(loaded)
    known = {p.key for p in loaded.warnings}
    for key, destination in loaded.each(DestinationConfig):
        for below, found, allowed in destinations.warnings(destination):
            if f"{key}.{below}" not in known:
                yield loaded.problem(f"{key}.{below}", found, allowed)
