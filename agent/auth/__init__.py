"""How the agent proves who it is: one ``httpx.Auth`` per scheme (WIRE 6).

A scheme is one file with ``problems(authentication)`` (pure) and ``build(authentication)``, and one line in
``SCHEMES``. Building resolves no secret; that happens when a request needs it, and again after a 401 or 403.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from agent.auth import agilicus, basic, bearer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from agent.config.model import Authentication

Mistake = tuple[str, str, str]
"""Key below ``authentication``, what was found, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """What the registry knows of one authentication type."""

    build: Callable[[Authentication], httpx.Auth | None]
    problems: Callable[[Authentication], list[Mistake]]


SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "none": Scheme(build=lambda _: None, problems=lambda _: []),
        "http_basic": Scheme(build=basic.build, problems=basic.problems),
        "http_bearer": Scheme(build=bearer.build, problems=bearer.problems),
        "agilicus_bearer": Scheme(build=agilicus.build, problems=agilicus.problems),
    }
)

UNUSABLE: Mapping[str, str] = MappingProxyType(
    {
        "oauth2": "not supported yet by this version",
        "google_service_account": "only for google_secops, which this version does not support yet",
        "client_certificate": "not supported by the API; use delivery.tls.cert_file",
    }
)
"""Types of WIRE 6 that exist and cannot be used, with the reason."""


def problems(authentication: Authentication) -> list[Mistake]:
    """Return the mistakes of ``authentication``; no secret is resolved."""
    kind = authentication.authentication_type
    if scheme := SCHEMES.get(kind):
        return scheme.problems(authentication)
    reason = UNUSABLE.get(kind)
    found = f"{kind!r} ({reason})" if reason else repr(kind)
    return [("authentication_type", found, ", ".join(SCHEMES))]


def build(authentication: Authentication) -> httpx.Auth | None:
    """Return what signs requests, None for ``none``. Raises ``ValueError`` naming the first mistake."""
    for key, found, allowed in problems(authentication):
        raise ValueError(f"authentication.{key}: found {found}; allowed: {allowed}")
    return SCHEMES[authentication.authentication_type].build(authentication)
