"""A destination of the API → the configuration of a lane (WIRE 2). Pure.

What the API says is data: its texts are never references to this host's secrets, and only this host says how it
delivers (``delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from agent.api.models import Destination, view
from agent.config.model import DestinationConfig, HeldPlace
from agent.config.platform import as_platform
from agent.config.secrets import Secret
from agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.config.model import ControlPlaneConfig

Document = dict[str, Any]
_OURS = ("delivery", "id")
"""Members that only this host's configuration may have."""
_WANTED = {"http_basic": "password", "http_bearer": "token", "oauth2": "client_secret"}
"""Authentication type → the secret it cannot do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A destination that cannot be run, and why."""

    id: str
    name: str
    problem: str
    enabled: bool = True

    def place(self) -> HeldPlace | None:
        """Return what keeps its place, None when its name is none that a lane could have."""
        given = {"id": self.id, "name": self.name, "enabled": self.enabled, "problem": self.problem}
        try:
            return msgspec.convert({**given, "destination_type": "", "location": ""}, HeldPlace, strict=True)
        except msgspec.ValidationError:
            return None


def identifier(document: Document) -> str:
    """Return the API's id of a destination, empty when it has none."""
    metadata = document.get("metadata")
    found = metadata.get("id") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""


def title(document: Document) -> str:
    """Return the name of a destination, for messages; empty when it has none."""
    spec = document.get("spec")
    found = spec.get("name") if isinstance(spec, dict) else None
    return found if isinstance(found, str) else ""


def configuration(
    document: Document, credentials: Sequence[Document], plane: ControlPlaneConfig
) -> DestinationConfig | Unusable:
    """Return what to run for ``document``; ``credentials`` are the object credentials of it.

    A type or a location that cannot work is not judged here: the lane reports it like a local one's.
    """
    try:
        view(document, Destination)
        spec: Document = {name: value for name, value in document["spec"].items() if name not in _OURS}
        # What nothing depends on must not restart a lane when it changes.
        spec |= {"id": identifier(document), "comment": ""}
        spec["authentication"] = with_secrets(spec.get("authentication") or {}, credentials)
        plain = {name: value for name, value in spec.items() if value is not None}
        read = msgspec.convert(plain, DestinationConfig, strict=True, dec_hook=_literal)
    except UsageError as error:
        return _unusable(document, str(error))
    except msgspec.ValidationError as error:
        return _unusable(document, f"no destination: {error}")
    return as_platform(msgspec.structs.replace(read, delivery=plane.delivery), plane)


def _unusable(document: Document, problem: str) -> Unusable:
    spec = document.get("spec")
    enabled = not isinstance(spec, dict) or spec.get("enabled") is not False
    return Unusable(id=identifier(document), name=title(document), problem=problem, enabled=enabled)


def _literal(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str):
        return Secret(value.replace("${", "$${"))
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def lacks_secret(document: Document) -> bool:
    """Tell whether the destination's secret has to be looked up among the object credentials."""
    spec = document.get("spec")
    authentication = spec.get("authentication") if isinstance(spec, dict) else None
    if not isinstance(authentication, dict):
        return False
    kind = authentication.get("authentication_type")
    wanted = _WANTED.get(kind) if isinstance(kind, str) else None
    if wanted is None:
        return False
    given = authentication.get(kind)
    return not isinstance(given, dict) or not given.get(wanted)


def with_secrets(authentication: Mapping[str, Any], credentials: Sequence[Document]) -> Document:
    """Return ``authentication`` with the secrets it lacks, from the credential of the highest priority.

    Raises ``UsageError`` when that is encrypted for somebody else.
    """
    found = dict(authentication)
    kind = found.get("authentication_type")
    if not lacks_secret({"spec": {"authentication": found}}) or not isinstance(kind, str):
        return found
    for each in sorted(credentials, key=_priority):
        secrets = each.get("status")
        if not isinstance(secrets, dict):
            continue
        if secrets.get("is_encrypted"):  # what is in it then, if anything, is no secret that could be sent
            raise UsageError(_encrypted(f"authentication.{kind}.{_WANTED[kind]}", secrets))
        if not secrets.get("password"):
            continue
        given = found.get(kind)
        found[kind] = {**(given if isinstance(given, dict) else {}), _WANTED[kind]: secrets["password"]}
        if kind == "http_basic" and not found[kind].get("username"):
            found[kind]["username"] = secrets.get("username") or ""
        break
    return found


def _encrypted(key: str, secrets: Mapping[str, Any]) -> str:
    made_for = secrets.get("encryption_key_id")
    of = f" for the key {made_for[:80]!r}" if isinstance(made_for, str) and made_for else ""
    return f"{key}: found an object credential that is encrypted{of}; allowed: one that is not, or the secret itself"


def _priority(credential: Document) -> int:
    spec = credential.get("spec")
    found = spec.get("priority") if isinstance(spec, dict) else None
    return -found if isinstance(found, int) else 0
