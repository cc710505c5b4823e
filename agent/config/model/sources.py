"""Where events come from: ``sources``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from agent.config.model.base import Model, Name
from agent.config.secrets import Secret


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
