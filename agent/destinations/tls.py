"""The TLS context of one destination; reads files, so it runs in a worker thread."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

if TYPE_CHECKING:
    from agent.config.model import Tls


class TlsError(Exception):
    """A file of ``delivery.tls`` cannot be used; the message names it."""


def context(tls: Tls, *, present_certificate: bool = True) -> ssl.SSLContext:
    """Return a client context: TLS 1.2 or newer, names and chains verified unless ``verify`` is false.

    ``present_certificate`` false leaves the client certificate out: for an origin not configured.
    Raises ``TlsError``, or ``SecretError`` when the key's password cannot be resolved.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif tls.ca_file:
        _load_ca(made, tls.ca_file)
    elif _system_store():
        made.load_default_certs()
    else:
        made.load_verify_locations(certifi.where())
    if tls.cert_file and present_certificate:
        _load_certificate(made, tls)
    return made


def _system_store() -> bool:
    """Tell whether this host has certificates to trust; a slim container often has none."""
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or bool(paths.capath and any(Path(paths.capath).iterdir()))


def _load_ca(made: ssl.SSLContext, ca_file: str) -> None:
    """Trust the certificates of ``ca_file`` only."""
    try:
        made.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls.ca_file {ca_file}: {_why(error)}") from error


def _load_certificate(made: ssl.SSLContext, tls: Tls) -> None:
    """Load the client's chain and key; never asks a terminal for a password."""
    password = tls.key_password.reveal() if tls.key_password else ""
    try:
        made.load_cert_chain(tls.cert_file or "", tls.key_file, password=lambda: password)
    except (OSError, ssl.SSLError) as error:
        names = tls.cert_file if not tls.key_file else f"{tls.cert_file} with tls.key_file {tls.key_file}"
        raise TlsError(f"tls.cert_file {names}: {_why(error)}") from error


def _why(error: OSError) -> str:
    """Return the reason of an SSL or a file error in a few words."""
    if isinstance(error, ssl.SSLError):
        return f"not usable PEM ({error.reason or 'no certificate or key found'})"
    return error.strerror or type(error).__name__


def problems(tls: Tls) -> list[tuple[str, str, str]]:
    """Return the mistakes of ``delivery.tls``. Reads the files, resolves no secret."""
    found = []
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(tls, key)
        if path and (why := _unreadable(path)):
            found.append((f"delivery.tls.{key}", f"{path} ({why})", "a readable PEM file"))
    if tls.key_file and not tls.cert_file:
        found.append(("delivery.tls.key_file", "a key without cert_file", "cert_file beside it"))
    if tls.ca_file and not found:
        try:
            _load_ca(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls.ca_file)
        except TlsError as error:
            found.append(("delivery.tls.ca_file", str(error), "a PEM file of certificates"))
    return found


def _unreadable(path: str) -> str | None:
    """Return why ``path`` cannot be read, None when it can."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
