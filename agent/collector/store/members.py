"""The text members of the API's records (WIRE 3.5, 3.6). Plain data."""

from __future__ import annotations

AUDIT_MEMBERS = (
    *("user_id", "target_resource_type", "target_resource_org_id", "api_name", "org_id", "action", "source_ip"),
    *("target_id", "token_id", "trace_id", "session", "secondary_id", "tertiary_id", "parent_id", "grandparent_id"),
    "description",
)
AUTH_MEMBERS = (
    *("user_id", "upstream_user_id", "org_id", "org_name", "event", "event_name", "source_ip", "token_id", "trace_id"),
    *("session", "issuer", "client_id", "application_name", "login_org_id", "login_org_name", "upstream_idp"),
    *("stage", "result", "user_agent", "request_id"),
)
