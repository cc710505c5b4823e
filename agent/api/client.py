"""The operations of the Audits API (WIRE 1). Documents come and go as the server wrote them, unknown members too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agent.api.errors import ApiError, ConflictError, NotFoundError
from agent.api.paging import Page, pages, read_page
from agent.api.queries import AuditQuery, AuthAuditQuery, DestinationQuery, Paging, page_parameters, parameters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self

    from agent.api.queries import Query
    from agent.api.session import Parameters, Session

DESTINATIONS = "/v1/audit_destinations"
BULK = "/v1/bulk_audit_events"
AUDITS = "/v1/audits"
AUTH_AUDITS = "/v1/auth_audits"
CREDENTIALS = "/v1/object_credentials"
MOST_CONFLICTS = 3

Document = dict[str, Any]
"""A JSON object as the server wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The destination of a name: made now, or there already."""

    document: Document
    existed: bool


class Client:
    """The API of one server. Every operation raises ``ApiError``, or ``UsageError`` before it asks."""

    def __init__(self, session: Session, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Ask through ``session``, which is closed with the client."""
        self._session = session
        self._now = now

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._session.aclose()

    # Destinations

    def destinations(self, query: DestinationQuery | None = None, paging: Paging | None = None) -> AsyncIterator[Page]:
        """Yield the pages of destinations; paged by id unless ``paging`` says otherwise."""
        paging = paging or Paging()
        if not paging.page_on:
            paging = Paging(limit=paging.limit, page_on=("id",), search_direction=paging.search_direction)
        return self._list(DESTINATIONS, "audit_destinations", query or DestinationQuery(), paging)

    async def create_destination(self, document: Document) -> Created:
        """Make a destination from ``{"spec": …}``; when its name is taken, return the one that has it."""
        try:
            response = await self._session.call("POST", DESTINATIONS, content=document, expected={200, 201})
        except ConflictError as error:
            found = error.document or await self._named(document)
            if found is None:
                raise
            # The answer to an earlier attempt may have been lost, and the object be its own.
            ours = error.attempts > 1 and _holds(found.get("spec"), document.get("spec"))
            return Created(document=found, existed=not ours)
        return Created(document=response.document(f"POST {DESTINATIONS}"), existed=False)

    async def _named(self, document: Document) -> Document | None:
        """Return the destination with the name in ``document``: for a conflict that does not say which."""
        spec = document.get("spec", {})
        query = DestinationQuery(org_id=spec.get("org_id") or None, name=spec.get("name"))
        async for page in self.destinations(query):
            for row in page.rows:
                if row.get("spec", {}).get("name") == spec.get("name"):
                    return row
        return None

    async def get_destination(self, destination_id: str, *, org_id: str | None = None) -> Document:
        """Return a destination. Raises ``NotFoundError``."""
        path = f"{DESTINATIONS}/{quote(destination_id, safe='')}"
        response = await self._session.call("GET", path, query=_org(org_id), expected={200})
        return response.document(f"GET {path}")

    async def replace_destination(self, destination_id: str, document: Document) -> Document:
        """Put ``document`` in the place of the destination; return what the server made of it.

        Raises ``NotFoundError``, and ``ConflictError`` when it was changed since ``document`` was read.
        """
        path = f"{DESTINATIONS}/{quote(destination_id, safe='')}"
        response = await self._session.call("PUT", path, content=document, expected={200})
        return response.document(f"PUT {path}")

    async def change_destination(
        self, destination_id: str, change: Callable[[Document], Document], *, org_id: str | None = None
    ) -> Document:
        """Read the destination, apply ``change``, put it back; on a conflict again with a fresh read, at most 3 times.

        Returns what the server holds then; nothing is put when ``change`` changes nothing.
        """
        conflicts = 0
        while True:
            found = await self.get_destination(destination_id, org_id=org_id)
            changed = change(found)
            if changed == found:
                return found
            try:
                return await self.replace_destination(destination_id, changed)
            except ConflictError:
                conflicts += 1
                if conflicts > MOST_CONFLICTS:
                    raise

    async def delete_destination(self, destination_id: str, *, org_id: str | None = None) -> None:
        """Remove a destination. Raises ``NotFoundError`` unless an earlier, unanswered attempt has removed it."""
        path = f"{DESTINATIONS}/{quote(destination_id, safe='')}"
        response = await self._session.call("DELETE", path, query=_org(org_id), expected={200, 204, 404})
        if response.status == 404 and response.attempts == 1:
            raise NotFoundError(f"DELETE {path}: the server answered 404; check the id and org_id", status=404)

    # Events and records

    async def bulk_events(self, body: bytes) -> Document:
        """Post a bulk of events (WIRE 4.1), encoded; return the answer's lists, empty when it has none."""
        response = await self._session.call("POST", BULK, content=body, expected=range(200, 300))
        return response.document(f"POST {BULK}") if response.body.strip() else {}

    def audits(self, query: AuditQuery | None = None, paging: Paging | None = None) -> AsyncIterator[Page]:
        """Yield the pages of records of changes through the API."""
        return self._list(AUDITS, "audits", query or AuditQuery(), paging or Paging())

    def auth_audits(self, query: AuthAuditQuery | None = None, paging: Paging | None = None) -> AsyncIterator[Page]:
        """Yield the pages of records of authentication; a server without key paging is paged by time."""
        return self._list(AUTH_AUDITS, "auth_audits", query or AuthAuditQuery(), paging or Paging(), by_time=True)

    # Secrets of destinations

    async def object_credentials(self, object_id: str, *, org_id: str | None = None) -> list[Document]:
        """Return every credential of an object, with what of its secrets these credentials may see."""
        found: list[Document] = []
        at, limit = "", 500
        while True:
            query = [("object_id", object_id), ("limit", str(limit)), ("page_at_id", at), *_org(org_id)]
            response = await self._session.call("GET", CREDENTIALS, query=query, expected={200})
            document = response.document(f"GET {CREDENTIALS}")
            rows = read_page(document, "object_credentials", what=f"GET {CREDENTIALS}").rows
            found += rows
            following = document.get("page_at_id")
            if len(rows) < limit or not isinstance(following, str) or following in ("", at):
                return found
            at = following

    async def object_credential(self, credential_id: str, *, org_id: str | None = None) -> Document:
        """Return one credential. Raises ``NotFoundError``."""
        path = f"{CREDENTIALS}/{quote(credential_id, safe='')}"
        response = await self._session.call("GET", path, query=_org(org_id), expected={200})
        return response.document(f"GET {path}")

    def _list(
        self, path: str, member: str, query: Query, paging: Paging, *, by_time: bool = False
    ) -> AsyncIterator[Page]:
        first = [*parameters(query, now=self._now()), *page_parameters(paging)]

        async def fetch(asked: Parameters) -> Page:
            what = f"GET {path}"
            try:
                response = await self._session.call("GET", path, query=asked, expected={200})
            except ApiError as error:
                if error.status == 400 and "pagination key" in (error.error_message or ""):
                    fields = ", ".join(value for name, value in asked if name == "page_on")
                    raise ApiError(f"{error}; page_on: found {fields}; choose another field", status=400) from error
                raise
            return read_page(response.document(what), member, what=what)

        return pages(fetch, first, by_time=by_time, limit=paging.limit)


def _org(org_id: str | None) -> Parameters:
    return [("org_id", org_id)] if org_id else []


def _holds(found: object, wanted: object) -> bool:
    """Tell whether ``found`` says everything that ``wanted`` does."""
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return False
    return all(name in found and found[name] == value for name, value in wanted.items())
