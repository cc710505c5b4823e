"""Tokens and users in the database. Secrets are kept as scrypt hashes: they can be checked, not read."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from agent.collector.access.principal import Principal, Scope
from agent.collector.store.tables import ACCOUNTS, ORGS

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN = "token"  # noqa: S105 # a kind of account
USER = "user"
_C = ACCOUNTS.c
_TOKEN = re.compile(r"aud_([0-9a-f]{16})_([A-Za-z0-9_\-]{43})")


class AccountError(ValueError):
    """An account cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A token or a user, without its secret."""

    id: str
    kind: str
    name: str
    org_id: str
    scopes: tuple[str, ...]
    created: int
    expires: int | None


def add_token(
    connection: sa.Connection, org: int, name: str, scopes: Iterable[Scope], *, expires: int | None = None
) -> str:
    """Make a token and return it; it cannot be seen again. Raises ``AccountError`` when the name is taken."""
    number, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    _add(connection, org, number, TOKEN, name, secret, scopes, expires)
    return f"aud_{number}_{secret}"


def add_user(connection: sa.Connection, org: int, name: str, password: str, scopes: Iterable[Scope]) -> None:
    """Make a user for basic authentication. Raises ``AccountError``."""
    if not name or ":" in name or not name.isprintable():
        raise AccountError(f"user: found {name!r}; allowed: printable characters, no colon")
    if not password:
        raise AccountError("password: found none")
    _add(connection, org, secrets.token_hex(8), USER, name, password, scopes, None)


def remove(connection: sa.Connection, kind: str, name: str) -> Account | None:
    """Remove an account by its name and return what it was; None when there is none."""
    found = next((one for one in listed(connection) if (one.kind, one.name) == (kind, name)), None)
    if found is not None:
        connection.execute(ACCOUNTS.delete().where(_C.id == found.id))
    return found


def listed(connection: sa.Connection) -> list[Account]:
    """Return every account, by kind and name."""
    query = sa.select(ACCOUNTS, ORGS.c.org_id).join(ORGS, ORGS.c.org == _C.org).order_by(_C.kind, _C.name)
    return [
        Account(
            id=row.id,
            kind=row.kind,
            name=row.name,
            org_id=row.org_id,
            scopes=tuple(row.scopes.split()),
            created=row.created,
            expires=row.expires,
        )
        for row in connection.execute(query)
    ]


def check_token(connection: sa.Connection, token: str) -> Principal | None:
    """Return who has this token, None when nobody has. Takes some 20 ms when the token's number is right."""
    found = _TOKEN.fullmatch(token)
    return _check(connection, _C.id == found[1], TOKEN, found[2]) if found else None


def check_user(connection: sa.Connection, name: str, password: str) -> Principal | None:
    """Return who this is, None when name or password is wrong."""
    return _check(connection, _C.name == name, USER, password)


def current(connection: sa.Connection, number: str) -> Principal | None:
    """Return who has the account of this number, None when it is there no longer."""
    query = sa.select(ACCOUNTS, ORGS.c.org_id).join(ORGS, ORGS.c.org == _C.org).where(_C.id == number)
    row = connection.execute(query).first()
    return None if row is None else _principal(row)


def any_account(connection: sa.Connection) -> bool:
    """Tell whether there is an account at all."""
    return connection.execute(sa.select(_C.id).limit(1)).first() is not None


def _check(connection: sa.Connection, which: sa.ColumnElement[bool], kind: str, secret: str) -> Principal | None:
    query = sa.select(ACCOUNTS, ORGS.c.org_id).join(ORGS, ORGS.c.org == _C.org).where(which, _C.kind == kind)
    row = connection.execute(query).first()
    if row is None:
        return None
    if not hmac.compare_digest(_hash(secret, row.salt), bytes(row.hash)):
        return None
    return _principal(row)


def _principal(row: sa.Row[Any]) -> Principal | None:
    if row.expires is not None and row.expires <= time.time_ns() // 1000:
        return None
    known = frozenset(Scope(scope) for scope in row.scopes.split() if scope in Scope.__members__.values())
    return Principal(name=row.name, org_id=row.org_id, scopes=known, token_id=row.id)


def _add(
    connection: sa.Connection,
    org: int,
    number: str,
    kind: str,
    name: str,
    secret: str,
    scopes: Iterable[Scope],
    expires: int | None,
) -> None:
    if connection.execute(sa.select(_C.id).where(_C.kind == kind, _C.name == name)).first() is not None:
        raise AccountError(f"a {kind} of the name {name!r} exists")
    salt = secrets.token_bytes(16)
    values = {"id": number, "kind": kind, "org": org, "name": name, "salt": salt, "hash": _hash(secret, salt)}
    values |= {"scopes": " ".join(sorted(scopes)), "created": time.time_ns() // 1000, "expires": expires}
    connection.execute(ACCOUNTS.insert(), values)


def _hash(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=bytes(salt), n=1 << 13, r=8, p=1)
