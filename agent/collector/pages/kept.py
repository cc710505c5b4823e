"""The destinations that this collector keeps for its organisation's agents (WIRE 2), for a page: no secret of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.collector.pages.shown import place
from agent.collector.store import destinations
from agent.collector.store.paging import paging

if TYPE_CHECKING:
    import sqlalchemy as sa

    from agent.collector.store import Store

MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One destination object."""

    id: str
    name: str
    type: str
    location: str
    """The part of it that may be shown."""
    enabled: bool
    filters: int
    updated: str


async def kept(store: Store, org_id: str) -> list[Kept]:
    """Return the destinations of an organisation by name, at most ``MOST``."""

    def query(connection: sa.Connection) -> list[dict[str, Any]]:
        org = store.orgs.find(connection, org_id)
        if org is None:
            return []
        by_name = paging(destinations.FIELDS, page_on=("name",), default=("id",))
        return destinations.listed(connection, org, by_name, limit=MOST)[0]

    return [_kept(each) for each in await store.read(query)]


def _kept(document: dict[str, Any]) -> Kept:
    spec = document["spec"]
    filters = spec.get("filters")
    return Kept(
        id=document["metadata"]["id"],
        name=str(spec.get("name", "")),
        type=str(spec.get("destination_type", "")),
        location=place(str(spec.get("location", ""))),
        enabled=spec.get("enabled") is not False,
        filters=len(filters) if isinstance(filters, list) else 0,
        updated=document["metadata"]["updated"],
    )
