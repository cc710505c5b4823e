"""Which receiver is meant, and which destination of the configuration delivers to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from agent import auth
from agent.auth import bearer
from agent.config.model import HttpBearer, Tls
from agent.destinations import tls
from agent.destinations.location import parse
from agent.errors import AgentError, UsageError
from agent.reconcile.collector import Collector
from agent.reconcile.jsonl import Jsonl

if TYPE_CHECKING:
    from agent.config.model import Config, DestinationConfig
    from agent.config.secrets import Secret
    from agent.reconcile.receiver import Receiver

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A receiver that can be asked."""

    name: str
    """The path of a file, or the address of a collector."""
    destination: DestinationConfig | None
    token: Secret | None = None
    """For a collector, instead of the destination's credentials."""

    def open(self) -> Receiver:
        """Begin to ask it; a file is read now. Raises ``AgentError``."""
        if _is_url(self.name):
            return Collector(self._client())
        location = parse(self.destination.location) if self.destination else None
        return Jsonl(self.name, max_backups=location.max_backups if location else None)

    def _client(self) -> httpx.Client:
        destination = self.destination
        try:
            context = tls.context(destination.delivery.tls if destination else Tls())
            signer = auth.build(destination.authentication) if destination and self.token is None else None
        except (tls.TlsError, ValueError) as error:
            raise AgentError(str(error)) from error
        headers = {"Authorization": bearer.value(HttpBearer(token=self.token))} if self.token else {}
        return httpx.Client(
            base_url=self.name, auth=signer, verify=context, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        )


def target(config: Config, *, against: str | None, destination: str | None, token: Secret | None = None) -> Target:
    """Return the receiver at ``against``, or where the destination called ``destination`` delivers to.

    Without a destination's name it is the one that delivers there, if there is one. Raises ``UsageError``.
    """
    named = _named(config, destination) if destination else None
    if against is None and named is None:
        raise UsageError("found neither --against nor --destination; allowed: one of them, or both")
    place = _place(against if against is not None else named.location if named else "")
    if named is None:
        named = next((d for d in config.destinations if _delivers_to(d, place)), None)
    return Target(name=place, destination=named, token=token)


def _named(config: Config, name: str) -> DestinationConfig:
    for each in config.destinations:
        if each.name == name:
            return each
    allowed = ", ".join(each.name for each in config.destinations)
    raise UsageError(f"--destination: found {name!r}; allowed: {allowed}")


def _place(text: str) -> str:
    """Return the absolute path of a file, or a collector's address without what follows host and port."""
    if _is_url(text):
        url = urlsplit(text)
        return f"{url.scheme.lower()}://{url.netloc.rpartition('@')[2].lower()}"
    try:
        return os.path.abspath(parse(text).path)  # noqa: PTH100 # links stay links
    except ValueError as error:
        allowed = "the address of a collector, or the file of a file destination"
        raise UsageError(f"--against: found {error}; allowed: {allowed}") from error


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _delivers_to(destination: DestinationConfig, place: str) -> bool:
    kind = "webhook" if _is_url(place) else "file"
    try:
        return destination.destination_type == kind and _place(destination.location) == place
    except UsageError:
        return False
