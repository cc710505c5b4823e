"""A server of the Audits API: the reference receiver of bulk audit events (WIRE 4).

Read ``app`` (the routes), ``ingest`` (one request), ``store`` (durable, once each); ``agent.receive`` is shared.
"""

from agent.collector.running import Handle, running
from agent.collector.settings import Settings

__all__ = ["Handle", "Settings", "running"]
