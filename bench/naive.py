"""The script that anybody would write first: read a file, decode each line, POST events in batches.

With ``orjson`` as the last argument it uses that instead of ``json``.
"""

import importlib
import socket
import sys
import uuid
from datetime import UTC, datetime

import httpx

path, url, per_transaction = sys.argv[1], sys.argv[2], int(sys.argv[3])
json = importlib.import_module(sys.argv[4] if len(sys.argv) > 4 else "json")
hostname = socket.gethostname()


def post(client: httpx.Client, events: list) -> None:
    client.post(
        url, content=json.dumps({"events": events}), headers={"Content-Type": "application/json"}
    ).raise_for_status()


with httpx.Client() as client, open(path, "rb") as lines:
    batch: list = []
    for text in lines:
        event = {"log_type": "logs", "hostname": hostname, **json.loads(text)}
        created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        batch.append({"unique_id": uuid.uuid4().hex, "create_time": created, "event": event})
        if len(batch) == per_transaction:
            post(client, batch)
            batch = []
    if batch:
        post(client, batch)
