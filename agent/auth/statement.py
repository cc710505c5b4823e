"""Identity statements: what a service account says of itself to the issuer of tokens (WIRE 6.2). ES256, RFC 7515."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from agent.errors import SecretError

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

LIFE = timedelta(hours=1)
AUDIENCE = "urn:api:agilicus:tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An authentication document as a service account owns it."""

    id: str
    user_id: str
    org_id: str
    issuer_url: str
    key: str = field(repr=False)
    """EC private key, PEM."""


class _Metadata(msgspec.Struct):
    id: str


class _Spec(msgspec.Struct):
    user_id: str
    org_id: str
    auth_issuer_url: str


class _Status(msgspec.Struct):
    key: str


class _Document(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec
    status: _Status


def document(text: str) -> Document:
    """Read the JSON of an authentication document. Raises ``SecretError`` that names what is wrong, never a value."""
    try:
        read = msgspec.json.decode(text, type=_Document)
    except msgspec.ValidationError as error:
        raise SecretError(f"service_account: no authentication document: {error}") from None
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise SecretError("service_account: found text that is no JSON; allowed: an authentication document") from None
    url = read.spec.auth_issuer_url
    if not url.startswith(("https://", "http://")):
        raise SecretError("service_account: spec.auth_issuer_url: found no URL; allowed: https://HOST[/PATH]")
    return Document(
        id=read.metadata.id,
        user_id=read.spec.user_id,
        org_id=read.spec.org_id,
        issuer_url=url,
        key=read.status.key,
    )


def statement(document: Document, *, now: datetime) -> str:
    """Return the signed statement, valid for an hour from ``now`` (UTC). Raises ``SecretError`` for an unusable key."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    key = _key(document.key)
    claims = {
        "audience": AUDIENCE,
        "issuer": f"urn:agilicus:authentication_documents:{document.id}",
        "user_id": document.user_id,
        "org_id": document.org_id,
        "expiry": (now + LIFE).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    signed = f"{_part({'alg': 'ES256', 'typ': 'JWT'})}.{_part(claims)}"
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    r, s = decode_dss_signature(key.sign(signed.encode("ascii"), ECDSA(SHA256())))
    return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _key(pem: str) -> EllipticCurvePrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise SecretError("service_account: status.key: found no usable key; allowed: an EC private key (P-256) in PEM")
    return key


def _part(value: dict[str, str]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
