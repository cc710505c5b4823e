"""Changes made here, told as events of the subsystem ``api`` (WIRE 3.6), in the transaction that makes them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import msgspec

from agent.collector.store import postgresql, sqlite
from agent.collector.store.incoming import Incoming
from agent.collector.store.key import key
from agent.collector.store.paging import timestamp
from agent.collector.store.records import AUDIT

if TYPE_CHECKING:
    import sqlalchemy as sa

API_NAME = "audits"


def tell(
    connection: sa.Connection,
    org: int,
    *,
    action: str,
    kind: str,
    target_id: str,
    target_name: str,
    org_id: str,
    by: str,
    source_ip: str = "",
    token_id: str = "",
) -> None:
    """Store one record: ``by`` did ``action`` to the ``target_id`` of the type ``kind``."""
    now = time.time_ns() // 1000
    name = f"collector.{uuid.uuid4().hex}"
    record = {
        "action": action,
        "api_name": API_NAME,
        "log_type": AUDIT,
        "org_id": org_id,
        "source_ip": source_ip,
        "source_type": "collector",
        "target_id": target_id,
        "target_resource_name": target_name,
        "target_resource_org_id": org_id,
        "target_resource_type": kind,
        "time": timestamp(now),
        "token_id": token_id,
        "user_id": by,
    }
    envelope = msgspec.json.encode({"unique_id": name, "create_time": timestamp(now), "event": record})
    stream, position = key(name)
    driver = connection.connection.driver_connection
    writer = (postgresql if connection.dialect.name == "postgresql" else sqlite).Writer(driver)
    writer.insert([Incoming(writer.last_id() + 1, org, now, stream, position, AUDIT, "", envelope)])
