"""The API's list of destinations: asked for, and kept on disk so that the agent starts while the API is down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec
import structlog

from agent.api.errors import ApiError, NotFoundError
from agent.api.remote import identifier, lacks_secret
from agent.api.session import Patience, Session
from agent.app.merge import merge

if TYPE_CHECKING:
    from agent.api.client import Client
    from agent.api.remote import Unusable
    from agent.config.model import Config

log = structlog.get_logger(__name__)

FILE = "control_plane.json"
MAX_BYTES = 64 * 1024 * 1024
_ONCE = Patience(attempts=1)


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """What the API said last: destinations as it wrote them, and the object credentials of those that need one."""

    url: str
    org_id: str
    destinations: list[dict[str, Any]] = []
    credentials: dict[str, list[dict[str, Any]]] = {}
    troubles: dict[str, str] = {}
    """Id of a destination → why its credentials could not be had; those of an earlier time stand in."""

    def is_of(self, config: Config) -> bool:
        """Tell whether this is what ``config`` would be told; another server's list is not."""
        return self.url == config.control_plane.url and self.org_id == organisation(config)


def wanted(config: Config) -> bool:
    """Tell whether destinations of the API are to be delivered to."""
    return config.control_plane.url is not None and config.control_plane.destinations


def organisation(config: Config) -> str:
    """Return the organisation whose destinations are asked for."""
    return config.control_plane.org_id or config.agent.org_id


def recall(config: Config) -> Remote | None:
    """Return what was kept, None when there is nothing, or nothing of this server."""
    path = Path(config.agent.state_dir) / FILE
    try:
        with path.open("rb") as file:
            kept = msgspec.json.decode(file.read(MAX_BYTES), type=Remote)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("control_plane_cache_unreadable", path=str(path), error=str(error))
        return None
    return kept if kept.is_of(config) else None


def keep(config: Config, remote: Remote) -> bool:
    """Write ``remote`` down, whole or not at all, and tell whether; it holds secrets, so only the agent may read it."""
    path = Path(config.agent.state_dir) / FILE
    part = path.with_suffix(".part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(msgspec.json.encode(remote))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        log.warning("control_plane_cache_not_kept", path=str(path), error=error.strerror)
        part.unlink(missing_ok=True)
        return False
    return True


def connected(config: Config) -> Client:
    """Return a client for the API; the pauses between looks are its patience. Close it when done."""
    from agent.api.client import Client  # most agents have no control plane, and start sooner without

    return Client(Session(config.control_plane, patience=_ONCE))


async def fetch(client: Client, config: Config, last: Remote | None) -> Remote:
    """Ask for the whole list. Raises ``ApiError``: then the last list stays good.

    A destination of ``last`` that is not listed any more is looked for by its id: only what the server says is gone
    is gone. A list cut short must not end a lane, or make it forget how far it was.
    """
    from agent.api.queries import DestinationQuery

    org_id = organisation(config) or None
    found: list[dict[str, Any]] = []
    async for page in client.destinations(DestinationQuery(org_id=org_id)):
        found += page.rows
    listed = {identifier(each) for each in found}
    for each in last.destinations if last else ():
        if (number := identifier(each)) and number not in listed:
            try:
                found.append(await client.get_destination(number, org_id=org_id))
            except NotFoundError:
                continue
    credentials, troubles = await _credentials(client, found, org_id, last)
    return Remote(
        url=config.control_plane.url or "",
        org_id=organisation(config),
        destinations=found,
        credentials=credentials,
        troubles=troubles,
    )


async def _credentials(
    client: Client, found: list[dict[str, Any]], org_id: str | None, last: Remote | None
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Return the credentials of the destinations that lack their secret, and what went wrong with which.

    When they cannot be had, those of last time stand in: one destination's trouble is not the list's.
    """
    credentials: dict[str, list[dict[str, Any]]] = {}
    troubles: dict[str, str] = {}
    for number in (identifier(each) for each in found if lacks_secret(each)):
        try:
            credentials[number] = await client.object_credentials(number, org_id=org_id)
        except ApiError as error:
            troubles[number] = str(error)
            if last is None or last.troubles.get(number) != str(error):
                log.warning("destination_credentials_unknown", destination_id=number, error=str(error))
            if last and number in last.credentials:
                credentials[number] = last.credentials[number]
    return credentials, troubles


async def ask(config: Config, last: Remote | None = None) -> tuple[Config, list[Unusable]]:
    """Return ``config`` with the destinations the API lists now, and those that cannot be run. Raises ``ApiError``."""
    async with connected(config) as client:
        found = await fetch(client, config, last)
    return merge(config, found.destinations, found.credentials)


async def complete(config: Config) -> Config:
    """Return ``config`` with the destinations of the API: as they are now, else as they were. For runs that end.

    What is wrong with single ones is logged. Raises ``ApiError`` when there is no list at all.
    """
    if not wanted(config):
        return config
    last = await anyio.to_thread.run_sync(recall, config)
    try:
        whole, unusable = await ask(config, last)
    except ApiError as error:
        if last is None:
            raise
        log.warning("control_plane_unreachable", error=str(error), then="the last list goes on")
        whole, unusable = merge(config, last.destinations, last.credentials)
    for each in unusable:
        log.error("remote_destination_unusable", destination=each.name, destination_id=each.id, problem=each.problem)
    return whole
