"""What agents tell of themselves: ``POST`` and ``GET /v1/agent_connectors/{agent_id}/dynamic_stats`` (WIRE 9)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.responses import Response

from agent.api.dates import DateError, moment
from agent.collector.access.principal import Scope
from agent.collector.routes.operation import Operation, RefusedError
from agent.collector.routes.operation import answer as shown
from agent.collector.routes.parameters import ORG_ID, Parameter
from agent.collector.store import fleet
from agent.receive.body import read_body

if TYPE_CHECKING:
    import sqlalchemy as sa

    from agent.collector.routes.operation import Call
    from agent.collector.store import Store

MAX_REPORT_BYTES = 256 << 10
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62))]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Summary(msgspec.Struct, gc=False):
    """``destination_summary_stats``."""

    total_sent: _Count = 0
    total_dropped: _Count = 0


class PerDestination(msgspec.Struct, gc=False):
    """``PerDestination`` of WIRE 9.1."""

    destination_summary_stats: Summary = msgspec.field(default_factory=Summary)
    destination_detailed_stats: dict[str, Any] = {}


class System(msgspec.Struct, gc=False):
    """``System``."""

    total_events: _Count = 0
    per_type_events: dict[str, _Count] = {}


class Totals(msgspec.Struct, gc=False):
    """``Common``."""

    destination_stats: PerDestination = msgspec.field(default_factory=PerDestination)
    system_stats: System = msgspec.field(default_factory=System)


class AuditStats(msgspec.Struct, gc=False):
    """``AuditStatsPublish``."""

    audit_totals: Totals
    audit_destination_stats: list[Any]


class Source(msgspec.Struct, gc=False):
    """How one source of the agent is."""

    name: _Text
    files: _Count = 0
    events: _Count = 0
    bytes: _Count = 0
    parse_errors: _Count = 0
    lost_bytes: _Count = 0
    last_error: _Text | None = None


class Lane(msgspec.Struct, gc=False):
    """How one destination of the agent is."""

    name: _Text
    id: _Text = ""
    type: _Text = ""
    location: _Text = ""
    state: _Text = ""
    accepted: _Count = 0
    filtered: _Count = 0
    rejected: dict[str, _Count] = {}
    behind_bytes: _Count = 0
    lag_seconds: _Seconds = 0
    last_accepted_at: _Moment | None = None
    last_error: _Text | None = None


class Refused(msgspec.Struct, gc=False):
    """One of the newest events that a destination refused, without the event."""

    time: _Text
    destination: _Text
    unique_id: _Text
    counter: _Text = ""
    reason: _Text = ""
    status: int | None = None


class Status(msgspec.Struct, gc=False):
    """What an agent of ours adds to the object: how it is now."""

    version: _Text = ""
    hostname: _Text = ""
    started_at: _Moment = 0
    ready: bool = True
    reasons: list[_Text] = []
    sources: list[Source] = []
    destinations: list[Lane] = []
    rejects: list[Refused] = []


class Report(msgspec.Struct, gc=False):
    """``AgentConnectorDynamicStatsPublish``."""

    connector_instance_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[^\x00]*\Z")]
    collection_time: datetime
    audit_stats: AuditStats | None = None
    agent_status: Status = msgspec.field(default_factory=Status)


_REPORTS = msgspec.json.Decoder(Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An agent as it last reported."""

    agent_id: str
    seen_at: float
    """Unix seconds."""
    report: Report


def decode(body: bytes) -> Report:
    """Return a report. Raises what msgspec raises."""
    return _REPORTS.decode(body)


def figures(report: Report) -> fleet.Figures:
    """Return what plots need of a report."""
    summary = (
        report.audit_stats.audit_totals.destination_stats.destination_summary_stats if report.audit_stats else None
    )
    lanes = report.agent_status.destinations
    return fleet.Figures(
        started=f"{report.agent_status.started_at:.3f}",
        sent=summary.total_sent if summary else 0,
        dropped=summary.total_dropped if summary else 0,
        lag_ms=int(max((lane.lag_seconds for lane in lanes), default=0) * 1000),
        behind_bytes=sum(lane.behind_bytes for lane in lanes),
    )


async def take(call: Call) -> Response:
    """Keep a report; the newest one of each agent, and a sample of it."""
    small = replace(call.settings, max_body_bytes=MAX_REPORT_BYTES, max_expanded_bytes=4 * MAX_REPORT_BYTES)
    try:
        with call.budget.request() as room:
            body = await read_body(call.request, small, take=room)
            body.decode()
            report = decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, "report", str(error)) from error
    if report.connector_instance_id != call.request.path_params["agent_id"]:
        raise RefusedError(400, "report", "connector_instance_id is not the agent of the path")
    return await _keep(call, report, body)


async def _keep(call: Call, report: Report, body: bytes) -> Response:
    agent_id, now = report.connector_instance_id, time.time_ns() // 1000
    org = await call.org()

    def change(connection: sa.Connection) -> None:
        known = fleet.report_of(connection, org, agent_id)
        before = figures(decode(known[1])) if known else None
        fleet.put(connection, org, agent_id, now=now, report=body, figures=figures(report), before=before)

    try:
        await call.store.write(change)
    except fleet.TooManyAgentsError as error:
        message = f"{fleet.MOST_AGENTS} agents report already; allowed: no more"
        raise RefusedError(403, "agents", message) from error
    return Response(status_code=204)


async def show(call: Call) -> Response:
    """Answer with the agent's newest statistics; 404 when there are none since ``collected_since``."""
    try:
        earliest = moment(call.parameters["collected_since"] or "", now=datetime.now(UTC))
    except DateError as error:
        raise RefusedError(400, "date", f"collected_since: {error}") from error
    seen = await find(call.store, call.principal.org_id, call.request.path_params["agent_id"])
    if (
        seen is None
        or not call.own_org()
        or (earliest is not None and datetime.fromtimestamp(seen.seen_at, UTC) < earliest)
    ):
        raise RefusedError(404, "not_found", "this agent has reported nothing in that time")
    audit = seen.report.audit_stats
    answer = {
        "metadata": {"collection_time": seen.report.collection_time},
        "audit_totals": audit.audit_totals if audit else {},
        "audit_breakdown": [
            {
                "instance_id": seen.agent_id,
                "audit_destination_id": each.get("audit_destination_id", ""),
                "audit_destination_stats": each.get("audit_stats", {}),
            }
            for each in (audit.audit_destination_stats if audit else [])
            if isinstance(each, dict)
        ],
    }
    return shown(answer)


async def find(store: Store, org_id: str, agent_id: str) -> Seen | None:
    """Return one agent of an organisation."""

    def query(connection: sa.Connection) -> tuple[int, bytes] | None:
        org = store.orgs.find(connection, org_id)
        return None if org is None else fleet.report_of(connection, org, agent_id)

    found = await store.read(query)
    return Seen(agent_id=agent_id, seen_at=found[0] / 1e6, report=decode(found[1])) if found else None


async def everyone(store: Store, org_id: str) -> list[Seen]:
    """Return the agents of an organisation, by id."""

    def query(connection: sa.Connection) -> list[tuple[str, int, bytes]]:
        org = store.orgs.find(connection, org_id)
        return [] if org is None else [(row[0], row[1], row[2]) for row in fleet.latest(connection, org)]

    return [
        Seen(agent_id=name, seen_at=at / 1e6, report=decode(bytes(body))) for name, at, body in await store.read(query)
    ]


_PATH = "/v1/agent_connectors/{agent_id}/dynamic_stats"
OPERATIONS = (
    Operation(
        method="POST",
        path=_PATH,
        name="publish_dynamic_stats",
        about="Take in an agent's statistics.",
        scope=Scope.EVENTS_WRITE,
        run=take,
        body="AgentConnectorDynamicStatsPublish",
        answers={204: None},
    ),
    Operation(
        method="GET",
        path=_PATH,
        name="get_dynamic_stats",
        about="Get an agent's newest statistics.",
        scope=Scope.AUDITS_READ,
        run=show,
        parameters=(
            ORG_ID,
            Parameter(name="collected_since", about="404 when there is nothing newer than this; as dt_from."),
        ),
        answers={200: "AgentConnectorDynamicStats", 404: "ErrorMessage"},
    ),
)
