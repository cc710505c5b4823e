"""The configuration as frozen data; mirrors ``config.example.yaml`` key by key.

Sizes are bytes, durations are seconds: the loader has turned ``1MiB`` and ``20ms`` into numbers (``Bytes``
and ``Seconds`` mark where units are allowed). Secrets stay references (``Secret``) until the moment of use.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from agent.config.secrets import Secret

Bytes = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "bytes"})]
"""A size: a bare number is bytes; ``KiB MiB GiB kB MB GB`` are understood."""

Seconds = Annotated[float, msgspec.Meta(ge=0, extra={"unit": "seconds"})]
"""A duration: a bare number is seconds; ``ms s m h d`` are understood."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the strict local parts of the configuration: an unknown key is an error."""


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


class FileSourceConfig(Model, frozen=True, tag_field="type", tag="file"):
    """Lines of local log files, through rotation, truncation and compression."""

    name: Name
    include: Annotated[list[str], msgspec.Meta(min_length=1)]
    """Globs of absolute paths; ``**`` crosses directories. Rotated names and .gz belong by themselves."""
    exclude: list[str] = []
    """Globs of paths to leave alone."""
    format: str = "json"
    """A parser's name."""
    subsystem: str | None = None
    """The event's log_type; left out: taken from the event, else ``logs``."""
    time_field: str | None = None
    """Member (dots for nesting) where the event's own time stands; used by ``--since``/``--until``."""
    fields: dict[str, Any] = {}
    """Members added to every event that lacks them."""
    start_at: Literal["beginning", "end"] = "beginning"
    """``end`` skips what exists at the very first start, and only that."""
    max_line_bytes: Annotated[int, msgspec.Meta(ge=64, extra={"unit": "bytes"})] = 1024 * 1024
    """A longer line is cut there, marked with its full length, and counted."""
    poll_interval: Annotated[float, msgspec.Meta(ge=0.01, extra={"unit": "seconds"})] = 10.0
    """Floor under the doorbell: everything is looked at again at least this often."""
    watch: Literal["auto", "inotify", "watchfiles", "poll"] = "auto"
    """What rings when a file changes; ``poll`` for file systems that cannot tell (NFS)."""
    timezone: str | None = None
    """Zone of times that name none; default: this host's."""


class SpoolConfig(Model, frozen=True):
    """Disk for what cannot be read again: kept until every destination has it."""

    max_bytes: Annotated[int, msgspec.Meta(ge=65536, extra={"unit": "bytes"})] = 256 * 1024 * 1024
    """At the bound nothing more is taken in: HTTP answers 429, a pipe is not read."""


class ServerTls(Model, frozen=True):
    """TLS of a listener; none when both are left out."""

    cert_file: str | None = None
    """Certificate chain, PEM."""
    key_file: str | None = None


class HttpSourceConfig(Model, frozen=True, tag_field="type", tag="http"):
    """Events that programs post: bulk requests (WIRE 4) and JSON lines. Answered only when durable."""

    name: Name
    listen: str
    """``HOST:PORT`` or ``unix:/path.sock``; beyond this machine only with TLS and a token."""
    token: Secret | None = None
    """What callers send as ``Authorization: Bearer``."""
    tls: ServerTls = ServerTls()
    format: str = "json"
    """Parser of posted lines; bulk requests need none."""
    subsystem: str | None = None
    time_field: str | None = None
    fields: dict[str, Any] = {}
    max_line_bytes: Annotated[int, msgspec.Meta(ge=64, extra={"unit": "bytes"})] = 1024 * 1024
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1024, extra={"unit": "bytes"})] = 16 * 1024 * 1024
    """Of one request, compressed or not; a compressed one may expand to four times that."""
    spool: SpoolConfig = SpoolConfig()


class StdinSourceConfig(Model, frozen=True, tag_field="type", tag="stdin"):
    """Lines of standard input. At most one such source."""

    name: Name
    format: str = "json"
    subsystem: str | None = None
    time_field: str | None = None
    fields: dict[str, Any] = {}
    max_line_bytes: Annotated[int, msgspec.Meta(ge=64, extra={"unit": "bytes"})] = 1024 * 1024
    spool: SpoolConfig = SpoolConfig()


SourceConfig: TypeAlias = FileSourceConfig | HttpSourceConfig | StdinSourceConfig
"""One source; ``type`` says which, left out: ``file``."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """One filter of a destination (WIRE 2.1). All filters of a destination must pass."""

    filter_type: str
    value: str | None = None
    or_list: list[str] | None = None


class HttpBasic(msgspec.Struct, frozen=True, kw_only=True):
    """User and password (WIRE 6)."""

    username: str
    password: Secret


class HttpBearer(msgspec.Struct, frozen=True, kw_only=True):
    """A static token, or one re-read from a file by reference (WIRE 6)."""

    token: Secret


class AgilicusBearer(msgspec.Struct, frozen=True, kw_only=True):
    """Whose access token the platform sees (WIRE 6.2): a token, or a service account that asks for tokens."""

    token: Secret | None = None
    """An access token; a file is read again for every request."""
    service_account: Secret | None = None
    """The service account's authentication document, JSON: ``${file:/etc/audit-agent/service-account.json}``."""
    client_id: str = "agilicus-builtin-cli"
    """Client that tokens are asked for as."""
    scopes: list[str] = []
    """Scopes to ask for; none: the issuer's default."""


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """How the agent proves who it is to a destination (WIRE 6)."""

    authentication_type: str = "none"
    http_basic: HttpBasic | None = None
    http_bearer: HttpBearer | None = None
    agilicus_bearer: AgilicusBearer | None = None
    """Left out: that of ``control_plane``."""
    oauth2: dict[str, Any] | None = None


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Body format of a webhook (WIRE 2)."""

    format: str = "agilicus"


class Retry(Model, frozen=True):
    """Back-off between attempts: exponential with full jitter (WIRE 4.5)."""

    base: Seconds = 1.0
    cap: Seconds = 300.0
    max_retry_after: Seconds = 3600.0
    """A longer Retry-After is shortened to this. Up to a tenth is added, so that agents do not come back together."""
    probe: Seconds = 30.0
    """Least pause between attempts while the destination itself is wrong (401, 403, 404, bad TLS)."""


class Tls(Model, frozen=True):
    """TLS of one destination."""

    ca_file: str | None = None
    """PEM bundle trusted instead of the system's."""
    cert_file: str | None = None
    """Client certificate chain, PEM."""
    key_file: str | None = None
    key_password: Secret | None = None
    verify: bool = True
    """False accepts any certificate; warned about at every start."""


class Delivery(Model, frozen=True):
    """What the API's object does not know: how this host delivers."""

    max_in_flight: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Requests at a time; 1 keeps order."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, extra={"unit": "bytes"})] = 1024 * 1024
    """Bytes of one transaction; a single larger event still travels, alone."""
    queue_max_bytes: Annotated[int, msgspec.Meta(ge=1024, extra={"unit": "bytes"})] = 8 * 1024 * 1024
    """What the lane may hold in memory, in flight included."""
    min_interval: Seconds = 0.02
    """A busy lane gathers events this long between two requests unless a transaction is full."""
    timeout: Annotated[float, msgspec.Meta(gt=0, extra={"unit": "seconds"})] = 30.0
    """Whole attempt, connecting included."""
    connect_timeout: Annotated[float, msgspec.Meta(gt=0, extra={"unit": "seconds"})] = 10.0
    gzip: bool = False
    """Compress request bodies."""
    proxy: str | None = None
    """Proxy URL; left out: HTTPS_PROXY, HTTP_PROXY, NO_PROXY of the environment; ``none``: direct."""
    headers: dict[str, Secret] = {}
    """Extra request headers."""
    retry: Retry = Retry()
    tls: Tls = Tls()


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


class HoldConfig(Model, frozen=True):
    """Rotated files are kept readable for lanes that are behind: copies, and links of compressed ones, in state_dir."""

    max_bytes: Annotated[int, msgspec.Meta(ge=0, extra={"unit": "bytes"})] = 1024 * 1024 * 1024
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
