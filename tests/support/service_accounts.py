"""Authentication documents of service accounts, with keys made for the occasion."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def document(issuer_url: str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    """Return the JSON of an authentication document whose tokens come from ``issuer_url``."""
    made = {
        "metadata": {"id": "doc-1"},
        "spec": {"user_id": "u-1", "org_id": "o-1", "auth_issuer_url": issuer_url, "expiry": "2030-01-01"},
        "status": {"key": pem(key or ec.generate_private_key(ec.SECP256R1()))},
    }
    return json.dumps(made)
