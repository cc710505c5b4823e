"""Options that describe a destination → members of its spec. Secrets come from files: a command line is no secret."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import UsageError

if TYPE_CHECKING:
    import argparse

_PLAIN = ("name", "location", "comment", "event_level_filter")
LEVELS = ("none", "low", "medium", "high", "custom")


def add_spec(parser: argparse.ArgumentParser) -> None:
    """Add an option for every member of a spec."""
    group = parser.add_argument_group("destination")
    group.add_argument("--file", metavar="FILE", help="JSON of a spec, or of a destination; - is standard input")
    group.add_argument("--name")
    group.add_argument("--type", dest="destination_type", metavar="TYPE", help="file, webhook, syslog, graylog, …")
    group.add_argument("--location")
    group.add_argument("--comment")
    group.add_argument("--enabled", choices=("true", "false"))
    group.add_argument("--max-events", type=int, metavar="N", help="events of one transaction")
    group.add_argument("--event-level-filter", choices=LEVELS)
    group.add_argument("--webhook-format", metavar="FORMAT", help="agilicus or unified")
    group.add_argument("--routing-external", choices=("true", "false"))
    group.add_argument("--routing-sni-proxy", metavar="PROXY")
    group.add_argument("--routing-extra-location", action="append", metavar="LOCATION", help="may be repeated")
    group.add_argument("--google-project-id", metavar="ID")
    group.add_argument("--google-location", metavar="LOCATION")
    group.add_argument("--google-instance-id", metavar="ID")
    group.add_argument("--clear", action="append", default=[], metavar="MEMBER", help="remove a member of the spec")
    _add_authentication(parser)


def _add_authentication(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("authentication of the destination")
    group.add_argument("--auth-type", metavar="TYPE", help="none, http_basic, http_bearer, agilicus_bearer, oauth2, …")
    group.add_argument("--username")
    group.add_argument("--password-file", metavar="FILE")
    group.add_argument("--bearer-token-file", metavar="FILE")
    group.add_argument("--oauth2-token-url", metavar="URL")
    group.add_argument("--oauth2-client-id", metavar="ID")
    group.add_argument("--oauth2-client-secret-file", metavar="FILE")
    group.add_argument("--oauth2-scope", action="append", metavar="SCOPE", help="may be repeated")
    group.add_argument("--oauth2-federated-audience", metavar="AUDIENCE")
    group.add_argument("--oauth2-bearer-fingerprint", metavar="TEXT")
    group.add_argument(
        "--oauth2-external", choices=("true", "false"), help="the token endpoint is reached from outside"
    )


def members(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the members of the spec that the options name; None for one to remove. Raises ``UsageError``."""
    found = _base(arguments.file) if arguments.file else {}
    found |= {name: value for name in _PLAIN if (value := getattr(arguments, name)) is not None}
    if arguments.destination_type is not None:
        found["destination_type"] = arguments.destination_type
    if arguments.enabled is not None:
        found["enabled"] = arguments.enabled == "true"
    if arguments.max_events is not None:
        found["max_events_per_transaction"] = arguments.max_events
    if arguments.webhook_format is not None:
        found["webhook_settings"] = {"format": arguments.webhook_format}
    secops = {
        "project_id": arguments.google_project_id,
        "gcp_location": arguments.google_location,
        "instance_id": arguments.google_instance_id,
    }
    if any(secops.values()):
        found["google_secops_settings"] = {name: value for name, value in secops.items() if value}
    if routing := _routing(arguments):
        found["routing"] = routing
    if authentication := _authentication(arguments):
        found["authentication"] = authentication
    return found | dict.fromkeys(arguments.clear)


def _base(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise UsageError(f"--file: {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--file: {name}: no JSON: {error}") from None
    spec = document.get("spec", document) if isinstance(document, dict) else None
    if not isinstance(spec, dict):
        raise UsageError(f"--file: {name}: found no object; allowed: a spec, or a destination with one")
    return dict(spec)


def _routing(arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arguments.routing_external is not None:
        found["external"] = arguments.routing_external == "true"
    if arguments.routing_sni_proxy is not None:
        found["sni_proxy"] = arguments.routing_sni_proxy or None
    if arguments.routing_extra_location is not None:
        found["extra_locations"] = [each for each in arguments.routing_extra_location if each]
    return found


def _authentication(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the authentication as a whole: parts of an old one would be credentials for another place."""
    found: dict[str, Any] = {}
    if arguments.username is not None or arguments.password_file:
        found["http_basic"] = {
            "username": arguments.username or "",
            "password": _secret("--password-file", arguments.password_file),
        }
    if arguments.bearer_token_file:
        found["http_bearer"] = {"token": _secret("--bearer-token-file", arguments.bearer_token_file)}
    if oauth2 := _oauth2(arguments):
        found["oauth2"] = oauth2
    kind = arguments.auth_type or (next(iter(found)) if len(found) == 1 else None)
    if kind is None:
        if found:
            raise UsageError(f"found {', '.join(found)} without --auth-type; allowed: --auth-type with one of them")
        return {}
    return {"authentication_type": kind, **found}


def _oauth2(arguments: argparse.Namespace) -> dict[str, Any]:
    found = {
        "token_url": arguments.oauth2_token_url,
        "client_id": arguments.oauth2_client_id,
        "client_secret": _secret("--oauth2-client-secret-file", arguments.oauth2_client_secret_file, required=False),
        "scopes": arguments.oauth2_scope,
        "federated_audience": arguments.oauth2_federated_audience,
        "bearer_fingerprint": arguments.oauth2_bearer_fingerprint,
    }
    given = {name: value for name, value in found.items() if value is not None}
    if given:
        given["routing"] = {"external": arguments.oauth2_external != "false"}
    return given


def _secret(option: str, name: str | None, *, required: bool = True) -> str | None:
    if not name:
        if required:
            raise UsageError(f"{option}: found nothing; allowed: the file that holds it")
        return None
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{option}: {name}: {reason}") from None
