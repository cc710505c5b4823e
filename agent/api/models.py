"""The objects of the API as far as the client looks at them (WIRE 2, 3.5, 3.6); documents stay what is sent and kept.

A model is a view: it checks the members it knows and says nothing of others, which stay in the document.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec

from agent.errors import UsageError

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
M = TypeVar("M")


class Filter(msgspec.Struct, kw_only=True):
    """One filter of a destination."""

    filter_type: str
    value: str | None = None
    or_list: list[str] | None = None


class HttpBasic(msgspec.Struct, kw_only=True):
    """User and password."""

    username: str
    password: str


class HttpBearer(msgspec.Struct, kw_only=True):
    """A static token."""

    token: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z\-._~+/=]+$")]


class RoutingHint(msgspec.Struct, kw_only=True):
    """Whether what is behind it is reached from outside."""

    external: bool


class Oauth2(msgspec.Struct, kw_only=True):
    """Client credentials (WIRE 6.1)."""

    token_url: Annotated[str, msgspec.Meta(max_length=2048)]
    client_id: Annotated[str, msgspec.Meta(max_length=1024)]
    routing: RoutingHint
    client_secret: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    scopes: list[str] | None = None
    federated_audience: Annotated[str, msgspec.Meta(max_length=2048)] | None = None
    bearer_fingerprint: Annotated[str, msgspec.Meta(max_length=2048)] | None = None


class Authentication(msgspec.Struct, kw_only=True):
    """How the agent proves who it is to a destination."""

    authentication_type: str
    http_basic: HttpBasic | None = None
    http_bearer: HttpBearer | None = None
    oauth2: Oauth2 | None = None


class WebhookSettings(msgspec.Struct, kw_only=True):
    """Body format."""

    format: Annotated[str, msgspec.Meta(max_length=256)]


class SecopsSettings(msgspec.Struct, kw_only=True):
    """Instance of Google Security Operations."""

    project_id: Annotated[str, msgspec.Meta(max_length=256)]
    gcp_location: Annotated[str, msgspec.Meta(max_length=64)]
    instance_id: Annotated[str, msgspec.Meta(max_length=256)]


class Spec(msgspec.Struct, kw_only=True):
    """What somebody wants of a destination."""

    enabled: bool
    name: Name
    org_id: str
    destination_type: str
    location: str
    comment: str
    filters: list[Filter]
    max_events_per_transaction: Annotated[int, msgspec.Meta(ge=1)] | None = None
    event_level_filter: str | None = None
    authentication: Authentication | None = None
    webhook_settings: WebhookSettings | None = None
    google_secops_settings: SecopsSettings | None = None
    routing: dict[str, Any] | None = None


class Metadata(msgspec.Struct, kw_only=True):
    """What the server knows of an object."""

    id: str = ""
    created: str | None = None
    updated: str | None = None


class Destination(msgspec.Struct, kw_only=True):
    """An audit destination."""

    spec: Spec
    metadata: Metadata | None = None


def view(document: object, model: type[M]) -> M:
    """Return what ``document`` says, as ``model``. Raises ``UsageError`` naming the member that is wrong."""
    try:
        return msgspec.convert(document, model, strict=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"no {model.__name__.lower()}: {error}") from None
