"""What the API's commands share: which server, as whom, and the client for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.common import DEFAULT_CONFIG
from agent.errors import ConfigError, UsageError
from agent.loopback import plain_http_host

if TYPE_CHECKING:
    import argparse

    from agent.api.client import Client
    from agent.config.model import Config, ControlPlaneConfig
    from agent.config.secrets import Secret


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which server is asked, and as whom."""
    group = parser.add_argument_group(
        "server", "Left out, they come from control_plane of the configuration; it is not read when --url is given."
    )
    group.add_argument("-c", "--config", metavar="FILE", help=f"default: {DEFAULT_CONFIG}")
    group.add_argument("--url", help="base URL of the API, such as https://api.agilicus.com")
    group.add_argument("--token-file", metavar="FILE", help="access token; read again for every request")
    group.add_argument("--service-account", metavar="FILE", help="authentication document of a service account, JSON")
    group.add_argument("--ca-file", metavar="FILE", help="PEM bundle trusted instead of the system's")
    group.add_argument("--org-id", metavar="ID", help="organisation; an empty text: do not say one")


def connect(arguments: argparse.Namespace) -> Client:
    """Return a client for the server the options and the configuration name. Raises ``UsageError``, ``ConfigError``."""
    from agent.api.client import Client
    from agent.api.session import Session

    settings = _settings(arguments)
    try:
        client = Client(Session(settings))
    except ValueError as error:
        raise UsageError(f"control plane: {error}") from None
    if host := plain_http_host(settings.url or ""):
        said = f"plain http to {host}: whoever is on the way reads the token; https is safe"
        print(f"audit-agent: warning: {said}", file=sys.stderr)
    return client


def organisation(arguments: argparse.Namespace) -> str | None:
    """Return the organisation to ask for, None for none."""
    if arguments.org_id is not None:
        return arguments.org_id or None
    config = _config(arguments)
    return (config.control_plane.org_id or config.agent.org_id or None) if config else None


def _settings(arguments: argparse.Namespace) -> ControlPlaneConfig:
    import msgspec

    from agent.config.model import AgilicusBearer, Authentication, ControlPlaneConfig, Tls

    config = _config(arguments)
    settings = config.control_plane if config else ControlPlaneConfig()
    if arguments.url:
        settings = msgspec.structs.replace(settings, url=arguments.url)
    if settings.url is None:
        raise UsageError("which server? allowed: --url URL, or control_plane.url in the configuration")
    if arguments.token_file and arguments.service_account:
        raise UsageError("found --token-file and --service-account; allowed: one of the two")
    bearer = None
    if arguments.token_file:
        bearer = AgilicusBearer(token=_from_file("--token-file", arguments.token_file))
    elif arguments.service_account:
        bearer = AgilicusBearer(service_account=_from_file("--service-account", arguments.service_account))
    if bearer:
        authentication = Authentication(authentication_type="agilicus_bearer", agilicus_bearer=bearer)
        settings = msgspec.structs.replace(settings, authentication=authentication)
    if arguments.ca_file:
        settings = msgspec.structs.replace(settings, tls=Tls(ca_file=arguments.ca_file))
    return settings


def _from_file(option: str, name: str) -> Secret:
    from agent.config.secrets import Secret

    path = str(Path(name).absolute())
    if set(path) & set("{}"):
        raise UsageError(f"{option}: found a path with braces; allowed: one without")
    if not Path(path).is_file():
        raise UsageError(f"{option}: {name}: found no such file")
    return Secret(f"${{file:{path}}}")


def _config(arguments: argparse.Namespace) -> Config | None:
    """Return the configuration, None when the command line is to do without."""
    from agent.config.load import load_with_warnings

    if arguments.config is None and (arguments.url or not Path(DEFAULT_CONFIG).exists()):
        return None
    loaded = load_with_warnings(arguments.config or DEFAULT_CONFIG)
    if loaded.problems or loaded.config is None:
        raise ConfigError(loaded.problems)
    return loaded.config
