"""A collector inside a running program: opened, served, closed again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from agent.collector.access import accounts
from agent.collector.app import collector_app
from agent.collector.settings import Settings
from agent.collector.store import Store
from agent.serve import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A collector that is serving."""

    url: str
    store: Store

    def has_accounts(self) -> bool:
        """Tell whether there is a token or a user in the database."""
        with self.store.database.reading() as connection:
            return accounts.any_account(connection)


@asynccontextmanager
async def running(
    *,
    listen: str = "127.0.0.1:0",
    database: str = ":memory:",
    settings: Settings | None = None,
    tls: tuple[str, str] | None = None,
) -> AsyncIterator[Handle]:
    """Serve a collector while the block runs. Raises ``AgentError`` when address or database cannot be had."""
    settings = settings or Settings()
    store = Store(database, keep=settings.keep)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(store.run)
            async with serving(collector_app(store, settings), listen=listen, tls=tls) as url:
                yield Handle(url=url, store=store)
            group.cancel_scope.cancel()
    finally:
        store.close()
