"""How the agent proves who it is: ``authentication`` of a destination and of the control plane."""

from __future__ import annotations

from typing import Any

import msgspec

from agent.config.secrets import Secret


class HttpBasic(msgspec.Struct, frozen=True, kw_only=True):
    """User and password (WIRE 6)."""

    username: str
    password: Secret


class HttpBearer(msgspec.Struct, frozen=True, kw_only=True):
    """A static token, or one re-read from a file by reference (WIRE 6)."""

    token: Secret


class AgilicusBearer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose access token the platform sees (WIRE 6.2): a token, or a service account that asks for tokens."""

    token: Secret | None = None
    """An access token; a file is read again for every request."""
    service_account: Secret | None = None
    """The service account's authentication document, JSON: ``${file:/etc/audit-agent/service-account.json}``."""
    client_id: str = "agilicus-builtin-cli"
    """Client that tokens are asked for as."""
    scopes: list[str] = []
    """Scopes to ask for; none: the issuer's default."""


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """How the agent proves who it is to a destination (WIRE 6)."""

    authentication_type: str = "none"
    http_basic: HttpBasic | None = None
    http_bearer: HttpBearer | None = None
    agilicus_bearer: AgilicusBearer | None = None
    """Left out: that of ``control_plane``."""
    oauth2: dict[str, Any] | None = None
