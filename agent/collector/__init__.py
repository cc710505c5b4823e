"""A server of the Audits API: the reference receiver of bulk audit events (WIRE 4).

Read ``app`` (the routes), ``ingest`` (one request), ``store`` (durable, once each); ``agent.receive`` is shared.
"""

from agent.errors import AgentError

try:
    import sqlalchemy as _needed  # noqa: F401 # the first of the packages that only a collector needs
except ImportError as error:
    raise AgentError("the collector needs more packages: pip install 'audit-agent[collector]'") from error

from agent.collector.running import Handle, running
from agent.collector.settings import Settings

__all__ = ["Handle", "Settings", "running"]
