"""Where events go: ``destinations``, as the API writes them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from agent.config.model.authentication import Authentication
from agent.config.model.base import Name
from agent.config.model.delivery import Delivery


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One filter of a destination (WIRE 2.1). All filters of a destination must pass."""

    filter_type: str
    value: str | None = None
    or_list: list[str] | None = None


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Body format of a webhook (WIRE 2)."""

    format: str = "agilicus"


class DestinationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An ``AuditDestinationSpec`` exactly as the API writes it (WIRE 2), plus ``delivery`` and ``id``.

    Locally, members the API adds later are kept and ignored; misspelt ones are found by the loader.
    """

    name: Name
    destination_type: str
    location: str
    id: str = ""
    """The API's id of the destination (``metadata.id``), for statistics."""
    enabled: bool = True
    org_id: str = ""
    comment: str = ""
    filters: list[Filter] = []
    max_events_per_transaction: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Left out: unlimited, so only ``delivery.max_bytes`` bounds a transaction."""
    event_level_filter: str | None = None
    """``none low medium high custom`` (WIRE 2.2)."""
    authentication: Authentication = Authentication()
    webhook_settings: WebhookSettings = WebhookSettings()
    google_secops_settings: dict[str, Any] | None = None
    routing: dict[str, Any] | None = None
    delivery: Delivery = Delivery()


class HeldPlace(DestinationConfig, frozen=True, kw_only=True):
    """A destination of the API that cannot be run as it is described there; no configuration file makes one.

    Its lane delivers nothing and keeps its place, so that whatever it is owed is still there once it is put right.
    """

    problem: str
