"""The body of an audit destination: what must be there and of which type (WIRE 2). Pure; unknown members are kept."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from agent.collector.routes.operation import RefusedError

_Text = Annotated[str, Meta(max_length=256)]


class _Filter(msgspec.Struct):
    filter_type: str
    value: str | UnsetType = UNSET
    or_list: list[str] | UnsetType = UNSET


class _Webhook(msgspec.Struct):
    format: _Text


class _SecOps(msgspec.Struct):
    project_id: _Text
    gcp_location: Annotated[str, Meta(max_length=64)]
    instance_id: _Text


class _Routing(msgspec.Struct):
    external: bool


class _Authentication(msgspec.Struct):
    authentication_type: str


class _Spec(msgspec.Struct):
    enabled: bool
    name: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00]*\Z")]
    org_id: str
    destination_type: Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*\Z")]
    location: str
    comment: str
    filters: list[_Filter]
    max_events_per_transaction: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    event_level_filter: str | UnsetType = UNSET
    authentication: _Authentication | UnsetType = UNSET
    webhook_settings: _Webhook | UnsetType = UNSET
    google_secops_settings: _SecOps | UnsetType = UNSET
    routing: _Routing | UnsetType = UNSET


class _Destination(msgspec.Struct):
    spec: _Spec
    metadata: dict[str, Any] | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(_Destination)
MAX_BYTES = 1 << 20


def checked(body: bytes) -> dict[str, Any]:
    """Return the object in ``body``, every member of it. Raises ``RefusedError``."""
    if len(body) > MAX_BYTES:
        raise RefusedError(413, "body", f"found {len(body)} bytes; allowed: at most {MAX_BYTES}")
    try:
        _DECODER.decode(body)
        decoded: dict[str, Any] = msgspec.json.decode(body)
        msgspec.json.encode(decoded)  # as deep as it may be read, it must be possible to write it
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RefusedError(400, "audit_destination", reason) from error
    return decoded
