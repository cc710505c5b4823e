"""The configuration as frozen data; mirrors ``config.example.yaml`` key by key.

Sizes are bytes, durations are seconds: the loader has turned ``1MiB`` and ``20ms`` into numbers (``Bytes``
and ``Seconds`` mark where units are allowed). Secrets stay references (``Secret``) until the moment of use.
"""

from agent.config.model.authentication import AgilicusBearer, Authentication, HttpBasic, HttpBearer
from agent.config.model.base import Bytes, Model, Name, Seconds
from agent.config.model.delivery import Delivery, Retry, Tls
from agent.config.model.destinations import DestinationConfig, Filter, HeldPlace, WebhookSettings
from agent.config.model.sources import (
    FileSourceConfig,
    HttpSourceConfig,
    ServerTls,
    SourceConfig,
    SpoolConfig,
    StdinSourceConfig,
)
from agent.config.model.whole import AdminConfig, AgentConfig, Config, ControlPlaneConfig, HoldConfig, ReportConfig

__all__ = [
    "AdminConfig",
    "AgentConfig",
    "AgilicusBearer",
    "Authentication",
    "Bytes",
    "Config",
    "ControlPlaneConfig",
    "Delivery",
    "DestinationConfig",
    "FileSourceConfig",
    "Filter",
    "HeldPlace",
    "HoldConfig",
    "HttpBasic",
    "HttpBearer",
    "HttpSourceConfig",
    "Model",
    "Name",
    "ReportConfig",
    "Retry",
    "Seconds",
    "ServerTls",
    "SourceConfig",
    "SpoolConfig",
    "StdinSourceConfig",
    "Tls",
    "WebhookSettings",
]
