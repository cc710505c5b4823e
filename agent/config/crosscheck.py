"""What no single value shows: names given twice, globs that cannot match, dangerous settings."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from agent.config.model import (
    AdminConfig,
    AgentConfig,
    DestinationConfig,
    FileSourceConfig,
    HttpSourceConfig,
    ReportConfig,
    StdinSourceConfig,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.config.secrets import Secret

Finding: TypeAlias = "tuple[str, str, str]"
"""Key path, what was found, what is allowed."""

_STATS_URL = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?\Z", re.IGNORECASE)
_CREDENTIAL_HEADERS = re.compile(r"auth|token|key|secret|cookie|password", re.IGNORECASE)


def mistakes(structs: Iterable[tuple[str, object]]) -> Iterator[Finding]:
    """Yield what is wrong across values. ``structs`` are all structs of a file with their key paths."""
    names: dict[tuple[str, str], str] = {}
    for key, struct in structs:
        match struct:
            case FileSourceConfig():
                yield from _twice(names, key, "source", struct.name)
                yield from _source_mistakes(key, struct)
            case HttpSourceConfig():
                yield from _twice(names, key, "source", struct.name)
                yield from _listener_mistakes(key, struct)
            case StdinSourceConfig():
                yield from _twice(names, key, "source", struct.name)
                first = names.setdefault(("stdin", ""), key)
                if first != key:
                    yield f"{key}.type", f"a second source stdin beside {first}", "one: there is one standard input"
            case DestinationConfig():
                yield from _twice(names, key, "destination", struct.name)
                yield from _destination_mistakes(key, struct)
            case AdminConfig(listen=str() as listen) if not _is_listen_address(listen):
                yield f"{key}.listen", repr(listen), "HOST:PORT (a port is at most 65535), unix:/path.sock, or null"
            case ReportConfig(stats_url=str() as url) if not _STATS_URL.match(url):
                yield f"{key}.stats_url", repr(url), "the address of a collector, https://HOST[:PORT], or null"
            case AgentConfig(state_dir=""):
                yield f"{key}.state_dir", "''", "the path of a directory"
            case _:
                pass


def dangers(structs: Iterable[tuple[str, object]], secrets: Iterable[tuple[str, Secret]]) -> Iterator[Finding]:
    """Yield what works but should not stay so."""
    for key, secret in secrets:
        header = key.rpartition(".headers.")[2] if ".headers." in key else "token"
        if secret.is_literal and _CREDENTIAL_HEADERS.search(header):
            yield (
                key,
                "a secret in the file itself",
                "safer: ${file:/path}, ${credential:NAME} or ${env:NAME}",
            )
    for key, struct in structs:
        match struct:
            case AgentConfig() if struct.state_dir and not PurePosixPath(struct.state_dir).is_absolute():
                yield (
                    f"{key}.state_dir",
                    repr(struct.state_dir),
                    "safer: an absolute path, the same at every start",
                )
            case _:
                pass


def _twice(names: dict[tuple[str, str], str], key: str, kind: str, name: str) -> Iterator[Finding]:
    first = names.setdefault((kind, name), key)
    if name and first != key:
        yield f"{key}.name", f"{name!r}, the name of {first} too", "a name of its own"


def _source_mistakes(key: str, source: FileSourceConfig) -> Iterator[Finding]:
    for i, glob in enumerate(source.include):
        if not glob.startswith("/"):
            yield f"{key}.include[{i}]", repr(glob), "a glob of absolute paths"
    for i, glob in enumerate(source.exclude):
        if "/" in glob and not glob.startswith(("/", "**/")):
            yield f"{key}.exclude[{i}]", repr(glob), "a glob of absolute paths, or of file names (no slash)"
    if source.timezone is not None and not _is_zone(source.timezone):
        yield f"{key}.timezone", repr(source.timezone), "a zone such as UTC or Europe/Berlin"


def _listener_mistakes(key: str, source: HttpSourceConfig) -> Iterator[Finding]:
    tls = source.tls
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "cert_file" if tls.cert_file is None else "key_file"
        yield f"{key}.tls.{missing}", "nothing", "both cert_file and key_file, or neither"
    if not _is_listen_address(source.listen):
        yield f"{key}.listen", repr(source.listen), "HOST:PORT (a port is at most 65535) or unix:/path.sock"
    elif not _is_local(source.listen) and (source.token is None or tls.cert_file is None):
        yield (
            f"{key}.listen",
            f"{source.listen!r}, which other machines can reach, without {'a token' if tls.cert_file else 'tls'}",
            "an address of this machine only (127.0.0.1:PORT, unix:/path.sock), or token and tls",
        )


def _is_local(listen: str) -> bool:
    if listen.startswith("unix:"):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _destination_mistakes(key: str, destination: DestinationConfig) -> Iterator[Finding]:
    retry = destination.delivery.retry
    if retry.base > retry.cap:
        yield f"{key}.delivery.retry.base", f"{retry.base:g} s", f"at most cap, {retry.cap:g} s"


def _is_listen_address(text: str) -> bool:
    if text.startswith("unix:"):
        return text.removeprefix("unix:").startswith("/")
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    right_form = bool(bare) and (":" not in bare or bare != host) and not re.search(r"[\s/\[\]]", bare)
    return right_form and re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) is not None and int(port) <= 65535


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
