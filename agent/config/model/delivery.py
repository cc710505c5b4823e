"""How this host delivers: ``delivery`` and its parts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from agent.config.model.base import Model, Seconds
from agent.config.secrets import Secret


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
