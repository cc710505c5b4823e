"""What a collector keeps: events once each, durable before they are acknowledged.

Read ``tables`` (what is kept), ``schema`` (how it came to be), ``store`` (one writer that commits requests in groups),
``sqlite`` and ``postgresql`` (the two ways in), ``events`` (the ways out). SQLAlchemy is the way to both databases;
what goes in by the ten thousand goes in through the driver beneath it.
"""

from agent.collector.store.errors import BusyError, StoreError
from agent.collector.store.store import Store

__all__ = ["BusyError", "Store", "StoreError"]
