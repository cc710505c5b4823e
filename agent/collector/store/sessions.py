"""Browsers that are logged in; kept in the database, so that any collector process knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from agent.collector.store.tables import SESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable


def open_session(*, session: bytes, token: bytes, now: int, expires_at: int) -> Callable[[sa.Connection], None]:
    """Return the change that adds a session, and forgets those that are over. Times are microseconds."""

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.expires_at <= now))
        connection.execute(sa.insert(SESSIONS).values(session=session, token=token, expires_at=expires_at))

    return change


def close_session(session: bytes) -> Callable[[sa.Connection], None]:
    """Return the change that ends a session."""

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.session == session))

    return change


def token_of(session: bytes, *, now: int) -> Callable[[sa.Connection], bytes | None]:
    """Return the query for the hash of the token a session was opened with; None when there is no such session."""

    def query(connection: sa.Connection) -> bytes | None:
        found = connection.execute(
            sa.select(SESSIONS.c.token).where(SESSIONS.c.session == session, SESSIONS.c.expires_at > now)
        ).scalar()
        return None if found is None else bytes(found)

    return query
