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
    Column("org", Integer, nullable=False),
    Column("received_at", BigInteger, primary_key=True),  # what PostgreSQL's partitions go by
    Column("stream", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("log_type", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),  # the bytes received
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
