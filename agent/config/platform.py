"""Who the platform takes the agent for, where a destination leaves that open (WIRE 6.2). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from agent.config.model import Config, ControlPlaneConfig, DestinationConfig


def identified(config: Config) -> Config:
    """Return ``config`` with ``as_platform`` applied to each destination."""
    plane = config.control_plane
    return msgspec.structs.replace(config, destinations=[as_platform(each, plane) for each in config.destinations])


def as_platform(destination: DestinationConfig, plane: ControlPlaneConfig) -> DestinationConfig:
    """Return ``destination`` with the control plane's credentials where it wants ``agilicus_bearer`` and has none."""
    given, own = destination.authentication, plane.authentication.agilicus_bearer
    if given.authentication_type != "agilicus_bearer" or given.agilicus_bearer is not None or own is None:
        return destination
    signed = msgspec.structs.replace(given, agilicus_bearer=own)
    return msgspec.structs.replace(destination, authentication=signed)
