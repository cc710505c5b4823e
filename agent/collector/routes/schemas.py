"""The schemas of the served document: what each body is, written out once (WIRE 1 to 4, 9). Plain data."""

from __future__ import annotations

from typing import Any

from agent.collector.store.members import AUDIT_MEMBERS, AUTH_MEMBERS

Schema = dict[str, Any]


def _object(required: str = "", /, **members: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": members, "additionalProperties": True}
    return made | ({"required": required.split()} if required else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": (1 << 62) - 1}
BOOLEAN: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object", "additionalProperties": True}
_NULLABLE: Schema = {"type": ["string", "null"]}


def _short(length: int, **more: Any) -> Schema:  # noqa: ANN401 # further keywords
    return {"type": "string", "maxLength": length, **more}


_SPEC = _object(
    "enabled name org_id destination_type location comment filters",
    enabled=BOOLEAN,
    name=_short(128, minLength=1, pattern="^[^\\u0000]*$"),
    org_id=TEXT,
    destination_type=_short(128, pattern="^[^\\u0000]*$"),
    location=TEXT,
    comment=TEXT,
    filters=_list(_ref("AuditDestinationFilter")),
    max_events_per_transaction={"type": "integer", "minimum": 1, "maximum": (1 << 63) - 1},
    event_level_filter=TEXT,
    authentication=_object("authentication_type", authentication_type=TEXT),
    webhook_settings=_object("format", format=_short(256)),
    google_secops_settings=_object(
        "project_id gcp_location instance_id",
        project_id=_short(256),
        gcp_location=_short(64),
        instance_id=_short(256),
    ),
    routing=_object("external", external=BOOLEAN),
)
_PER_DESTINATION = _object(
    destination_summary_stats=_object(total_sent=COUNT, total_dropped=COUNT), destination_detailed_stats=ANY
)
_COMMON = _object(
    destination_stats=_PER_DESTINATION,
    system_stats=_object(total_events=COUNT, per_type_events=ANY, total_dropped=COUNT),
)
_AUDIT = dict.fromkeys(AUDIT_MEMBERS, TEXT)
_AUTH = dict.fromkeys(AUTH_MEMBERS, TEXT)


def _page(member: str, row: str) -> Schema:
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": 500}
    return _object(f"limit {member}", limit=limit, page_info=_ref("PageInfo"), **{member: _list(_ref(row))})


SCHEMAS: dict[str, Schema] = {
    "ErrorMessage": _object("error_code error_message", error_code=TEXT, error_message=TEXT),
    "PageInfo": _object(
        "page_on page_at_key", page_on=_list(TEXT), page_at_key=_list(_NULLABLE), previous_key=_list(_NULLABLE)
    ),
    "AuditEvent": _object(
        "unique_id create_time event",
        unique_id=_short(256, pattern="^[a-zA-Z0-9\\-._]+$"),
        create_time=TIME,
        event=ANY,
    ),
    "AuditWebhookBulkEvent": _object(
        "events", events=_list(_ref("AuditEvent")), always_respond_with_events={"type": ["boolean", "null"]}
    ),
    "AuditEventResponse": _object("unique_id status", unique_id=TEXT, status=TEXT, status_message=TEXT),
    "AuditWebhookEventsProcessed": _object(
        "success_events discard_events retry_events",
        success_events=_list(_ref("AuditEventResponse")),
        discard_events=_list(_ref("AuditEventResponse")),
        retry_events=_list(_ref("AuditEventResponse")),
    ),
    "AuditDestinationFilter": _object("filter_type", filter_type=TEXT, value=TEXT, or_list=_list(TEXT)),
    "AuditDestinationSpec": _SPEC,
    "AuditDestination": _object(
        "spec", spec=_ref("AuditDestinationSpec"), metadata=_object(id=TEXT, created=TIME, updated=TIME)
    ),
    "ListAuditDestinationsResponse": _page("audit_destinations", "AuditDestination"),
    "AuditAttribute": _object(
        "",
        attribute_id=TEXT,
        attribute_type=TEXT,
        attribute_org_id=_NULLABLE,
        attribute_name=_NULLABLE,
    ),
    "Audit": _object(
        "", **_AUDIT, target_resource_name=_NULLABLE, time=TIME, audit_attributes=_list(_ref("AuditAttribute"))
    ),
    "ListAuditsResponse": _page("audits", "Audit"),
    "AuthAudits": _object("", **_AUTH, time=TIME),
    "ListAuthAuditsResponse": _page("auth_audits", "AuthAudits"),
    "StreamIds": _object("stream count offsets more", stream=TEXT, count=COUNT, offsets=_list(COUNT), more=BOOLEAN),
    "AgentConnectorDynamicStatsPublish": _object(
        "connector_instance_id collection_time",
        connector_instance_id=_short(128, minLength=1, pattern="^[^\\u0000]*$"),
        collection_time=TIME,
        audit_stats=_object(
            "audit_totals audit_destination_stats",
            audit_totals=_COMMON,
            audit_destination_stats=_list(
                _object("audit_destination_id audit_stats", audit_destination_id=TEXT, audit_stats=_PER_DESTINATION)
            ),
        ),
        agent_status=ANY,
    ),
    "AgentConnectorDynamicStats": _object(
        "metadata audit_totals audit_breakdown",
        metadata=_object("collection_time", collection_time=TIME),
        audit_totals=_COMMON,
        audit_breakdown=_list(
            _object(
                "instance_id audit_destination_id audit_destination_stats",
                instance_id=TEXT,
                audit_destination_id=TEXT,
                audit_destination_stats=_PER_DESTINATION,
            )
        ),
    ),
}
"""Of every component."""
