"""The tables, as SQLAlchemy knows them. ``schema`` makes them; a test holds the two together.

Times are microseconds since 1970, UTC. ``org`` is a small number for an organisation's id: it is part of every key.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

ORGS = Table(
    "orgs",
    METADATA,
    Column("org", Integer, primary_key=True),
    Column("org_id", Text, nullable=False, unique=True),
)

IDS = Table(
    "ids",
    METADATA,
    Column("org", Integer, primary_key=True),
    Column("stream", LargeBinary, primary_key=True),  # 16 bytes
    Column("position", BigInteger, primary_key=True),  # -1: an id that is of no stream, see key
    Column("id", BigInteger, nullable=False),
)
"""Every id that was ever stored, and is kept: what makes an event that comes again a duplicate."""

EVENTS = Table(
    "events",
    METADATA,
    Column("id", BigInteger, primary_key=True),  # grows with arrival
    Column("org", Integer, primary_key=True),
    Column("received_at", BigInteger, primary_key=True),  # what PostgreSQL's partitions go by
    Column("stream", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("log_type", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # the bytes received
)

AUDIT_TEXTS = (
    "source_id",
    "user_id",
    "action",
    "target_id",
    "token_id",
    "api_name",
    "target_resource_type",
    "org_id",
    "source_ip",
    "trace_id",
    "session",
)
AUTH_TEXTS = (
    "user_id",
    "org_id",
    "session",
    "trace_id",
    "upstream_user_id",
    "upstream_idp",
    "login_org_id",
    "source_ip",
    "client_id",
    "event",
    "stage",
    "request_id",
    "result",
    "event_name",
)


def _records(name: str, texts: tuple[str, ...]) -> Table:
    return Table(
        name,
        METADATA,
        Column("org", Integer, primary_key=True),
        Column("time", BigInteger, primary_key=True),  # of the event itself
        Column("id", BigInteger, primary_key=True),  # of its row in events
        Column("received_at", BigInteger, nullable=False),
        *(Column(text, Text, nullable=False) for text in texts),  # empty where the event has none
    )


AUDITS = _records("audits", AUDIT_TEXTS)
"""What events of the subsystem ``api`` are found by."""

AUTH_AUDITS = _records("auth_audits", AUTH_TEXTS)
"""What events of the subsystem ``authentication`` are found by."""

AUDIT_ATTRIBUTES = Table(
    "audit_attributes",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("received_at", BigInteger, nullable=False),
    Column("attribute_type", Text, nullable=False),
    Column("attribute_id", Text, nullable=False),
    Column("attribute_org_id", Text, nullable=False),
)

DESTINATIONS = Table(
    "destinations",
    METADATA,
    Column("org", Integer, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("destination_type", Text, nullable=False),
    Column("is_external", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the object without what only the server may say
)

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # token or user
    Column("org", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
)

AGENT_REPORTS = Table(
    "agent_reports",
    METADATA,
    Column("org", Integer, primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("seen_at", BigInteger, nullable=False),
    Column("report", LargeBinary, nullable=False),  # the newest one, as received
)
"""Every agent that ever reported its statistics."""

AGENT_SAMPLES = Table(
    "agent_samples",
    METADATA,
    Column("org", Integer, primary_key=True),
    Column("agent_id", Text, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("sent", BigInteger, nullable=False),  # since the sample before
    Column("dropped", BigInteger, nullable=False),  # since the sample before
    Column("lag_ms", BigInteger, nullable=False),
    Column("behind_bytes", BigInteger, nullable=False),
)
"""What plots are made of: one row for each report, kept for some days."""

SESSIONS = Table(
    "page_sessions",
    METADATA,
    Column("session", LargeBinary, primary_key=True),  # hash of what the browser holds
    Column("token", LargeBinary, nullable=False),  # hash of the token it was opened with
    Column("expires_at", BigInteger, nullable=False),
)
"""Browsers that are logged in to the pages."""
