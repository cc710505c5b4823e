"""An Audits API on a real loopback socket: destinations with 409s, records with key paging, an issuer of tokens.

Behaves as the documentation says; a test turns on what older or odder servers do. Faults come from the
``Receiver`` below it: ``api.receiver.script(Reply(503))``.
"""

from __future__ import annotations

import copy
import itertools
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.receiver import Receiver, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

Document = dict[str, Any]
TOKEN = "t0ken"
DESTINATIONS = "/v1/audit_destinations"


def spec(name: str, **members: Any) -> Document:
    """Return a valid spec."""
    given = {
        "enabled": True,
        "name": name,
        "org_id": "o-1",
        "destination_type": "webhook",
        "location": "https://soc.example.net/hook",
        "comment": "",
        "filters": [],
    }
    return given | members


class AuditsApi:
    """The server; every member may be changed by the test while it runs."""

    def __init__(self) -> None:
        self.receiver = Receiver(answer=self._answer)
        self.tokens = {TOKEN}
        """Access tokens that are let in."""
        self.issued: list[dict[str, list[str]]] = []
        """The forms of all questions for a token."""
        self.lives_seconds: float | None = 3600
        self.destinations: dict[str, Document] = {}
        self.audits: list[Document] = []
        self.auth_audits: list[Document] = []
        self.credentials: list[Document] = []
        self.keyed = True
        """False: no page_info, as older servers answer."""
        self.queries: list[tuple[str, dict[str, list[str]]]] = []
        """Path and query of every request that was let in."""
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self.receiver.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.receiver.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """The base URL, which has a path of its own."""
        return self.receiver.url.removesuffix("/hook") + "/base"

    def put(self, name: str, **members: Any) -> Document:
        """Add or replace the destination ``name`` behind everybody's back; return it."""
        old = next((d for d in self.destinations.values() if d["spec"]["name"] == name), None)
        made = old["metadata"] if old else {"id": f"d-{next(self._numbers)}", "created": "2026-03-01T09:00:00Z"}
        document = {"spec": spec(name, **members), "metadata": {**made, "updated": self._moment()}, "x_new": {"a": [1]}}
        self.destinations[made["id"]] = document
        return document

    def _moment(self) -> str:
        return f"2026-03-02T10:30:00.{next(self._numbers):06d}Z"

    def _answer(self, request: Request) -> Reply:
        target = urlsplit(request.target)
        path = unquote(target.path).removeprefix("/base")
        query = parse_qs(target.query, keep_blank_values=True)
        if path == "/issuer/token":
            return self._issue(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _error(401, "UNAUTHORIZED", "the token is not known")
        self.queries.append((path, query))
        if path == DESTINATIONS and request.method == "POST":
            return self._create(json.loads(request.body))
        if path.startswith(f"{DESTINATIONS}/"):
            return self._one(request, path.removeprefix(f"{DESTINATIONS}/"))
        if path == "/v1/bulk_audit_events":
            return Reply(201, {"success_events": [], "discard_events": [], "retry_events": []})
        lists: dict[str, tuple[str, Sequence[Document]]] = {
            DESTINATIONS: ("audit_destinations", list(self.destinations.values())),
            "/v1/audits": ("audits", self.audits),
            "/v1/auth_audits": ("auth_audits", self.auth_audits),
            "/v1/object_credentials": ("object_credentials", self.credentials),
        }
        if path not in lists:
            return _error(404, "NOT_FOUND", "no such path")
        member, rows = lists[path]
        return self._list(member, rows, query)

    def _issue(self, request: Request) -> Reply:
        self.issued.append(parse_qs(request.body.decode()) | {"authorization": [request.headers["authorization"]]})
        token = f"issued-{len(self.issued)}"
        self.tokens.add(token)
        life = {} if self.lives_seconds is None else {"expires_in": self.lives_seconds}
        return Reply(200, {"access_token": token, "token_type": "bearer", **life})

    def _create(self, document: Document) -> Reply:
        name = document["spec"]["name"]
        for old in self.destinations.values():
            if old["spec"]["name"] == name:
                return Reply(409, old)
        number = f"d-{next(self._numbers)}"
        made = {**document, "metadata": {"id": number, "created": self._moment(), "updated": self._moment()}}
        self.destinations[number] = made
        return Reply(201, made)

    def _one(self, request: Request, number: str) -> Reply:
        old = self.destinations.get(number)
        if old is None:
            return _error(404, "NOT_FOUND", "no such destination")
        if request.method == "GET":
            return Reply(200, old)
        if request.method == "DELETE":
            del self.destinations[number]
            return Reply(204)
        document = json.loads(request.body)
        updated = (document.get("metadata") or {}).get("updated")
        if updated is not None and updated != old["metadata"]["updated"]:
            return _error(409, "CONFLICT", "changed meanwhile")
        new = {**copy.deepcopy(document), "metadata": {**old["metadata"], "updated": self._moment()}}
        self.destinations[number] = new
        return Reply(200, new)

    def _list(self, member: str, rows: Sequence[Document], query: dict[str, list[str]]) -> Reply:
        limit = int(query.get("limit", ["500"])[0])
        if not self.keyed:
            return Reply(200, {"limit": limit, member: [r for r in rows if self._before(r, query)][:limit]})
        names = query.get("page_on", ["id"])
        if "bogus" in names:
            return _error(400, "BAD_REQUEST", "unsupported pagination key: bogus")
        at = query.get("page_at_key")
        # The server adds a column that breaks ties: the position, which no client could make up.
        begin = int(at[-1]) + 1 if at else 0
        found = list(rows)[begin : begin + limit]
        answer: Document = {"limit": limit, member: found}
        if found:
            own = names if names[-1] == "tie" else [*names, "tie"]
            keys = [*(None for _ in own[:-1]), str(begin + len(found) - 1)]
            answer["page_info"] = {"page_on": own, "page_at_key": keys}
        return Reply(200, answer)

    def _before(self, row: Document, query: dict[str, list[str]]) -> bool:
        until = query.get("dt_to", [""])[0]
        return not until or datetime.fromisoformat(row["time"]) < datetime.fromisoformat(until)


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"error_code": code, "error_message": message})
