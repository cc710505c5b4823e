"""The whole file, and its sections of one kind each: ``agent``, ``admin``, ``report``, ``hold``, ``control_plane``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from agent.config.model.authentication import Authentication
from agent.config.model.base import Bytes, Model, Seconds
from agent.config.model.delivery import Delivery, Tls
from agent.config.model.destinations import DestinationConfig
from agent.config.model.sources import SourceConfig
from agent.config.secrets import Secret


class AgentConfig(Model, frozen=True):
    """Who this agent is and where it keeps its state."""

    id: str | None = None
    """GUID of the agent: ``audit_agent_id`` of filters, ``source_id`` of events.

    Default: made once, kept in state_dir.
    """
    type: str = "agent_connector"
    """Agent type for ``audit_agent_type`` filters."""
    source_type: str = "host-agent"
    """``source_type`` written into events that have none (WIRE 3.2)."""
    org_id: str = ""
    """Organisation that owns this host; ``source_org_id`` of events."""
    hostname: str | None = None
    """Default: this host's name."""
    state_dir: str = "/var/lib/audit-agent"
    """Directory (mode 0700) of state.db, rejects, spool and holds. One agent at a time."""
    rejects_max_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, extra={"unit": "bytes"})] = 256 * 1024 * 1024
    """Of the rejects of all destinations. Beyond it the oldest file goes, as a logged and counted loss."""
    shutdown_grace_seconds: Seconds = 10
    """How long a stop may take to send what was already read."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    """``auto``: console on a terminal, else JSON lines on standard error."""


class AdminConfig(Model, frozen=True):
    """Where operators look: /healthz /readyz /metrics /stats."""

    listen: str | None = "127.0.0.1:9464"
    """``HOST:PORT``, ``unix:/path.sock``, or null for none."""
    stalled_after: Seconds = 300
    """/readyz turns 503 when data waits and nothing was settled for this long."""


class HoldConfig(Model, frozen=True):
    """Rotated files are kept readable for lanes that are behind: copies, and links of compressed ones, in state_dir."""

    max_bytes: Bytes = 1024 * 1024 * 1024
    """Of each source. Beyond it the file held longest is given up, as a logged loss."""


class ControlPlaneConfig(Model, frozen=True):
    """The Audits API: where more destinations come from, and what the API's commands ask."""

    url: str | None = None
    """Base URL, such as ``https://api.agilicus.com``; null: none."""
    org_id: str = ""
    """Organisation whose destinations are asked for; left out: ``agent.org_id``."""
    authentication: Authentication = Authentication()
    """How the agent proves who it is; also for destinations with ``agilicus_bearer``."""
    destinations: bool = True
    """Deliver to the destinations the API lists. False: the section serves the commands only."""
    refresh: Annotated[float, msgspec.Meta(ge=1, extra={"unit": "seconds"})] = 60.0
    """Pause between two looks at the list, give or take a tenth."""
    timeout: Annotated[float, msgspec.Meta(gt=0, extra={"unit": "seconds"})] = 30.0
    """Of one request, connecting included."""
    proxy: str | None = None
    """Proxy URL; left out: from the environment; ``none``: direct."""
    tls: Tls = Tls()
    delivery: Delivery = Delivery()
    """How this host delivers to the API's destinations."""


class ReportConfig(Model, frozen=True):
    """Whom the agent tells how it is (WIRE 9.2)."""

    stats_url: str | None = None
    """Address of a collector; null: nobody is told."""
    token: Secret | None = None
    """Sent as ``Authorization: Bearer``."""
    interval: Annotated[float, msgspec.Meta(ge=1, extra={"unit": "seconds"})] = 15.0
    """Between two reports."""
    tls: Tls = Tls()


class Config(Model, frozen=True):
    """One configuration file."""

    sources: list[SourceConfig]
    destinations: list[DestinationConfig] = []
    agent: AgentConfig = AgentConfig()
    admin: AdminConfig = AdminConfig()
    report: ReportConfig = ReportConfig()
    hold: HoldConfig = HoldConfig()
    control_plane: ControlPlaneConfig = ControlPlaneConfig()
