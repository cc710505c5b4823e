"""Which state a run works on: the daemon's own, a backfill's beside it, or none on disk at all."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.state.lock import locked
from agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.app.options import Options


IDENTITY = "identity.json"


@contextmanager
def opened(directory: Path, options: Options) -> Iterator[Store]:
    """Lock and open the state for a run. Raises ``StateError`` when it cannot be used.

    A backfill has a database of its own, so that it can run beside the daemon; it takes over the daemon's id and
    streams, so that its events have the same ids.
    """
    if options.dry_run:
        with _closing(Store(Path(":memory:"))) as store:
            if options.catalog and (directory / options.catalog).exists():
                store.adopt(directory / options.catalog)
            yield store
        return
    with locked(directory, name="lock" if options.catalog is None else f"{options.database}.lock"):
        if options.catalog:
            with _closing(Store(directory / options.catalog, identity_file=directory / IDENTITY)) as daemon:
                daemon.agent_id()
        identity = None if options.catalog else directory / IDENTITY
        with _closing(Store(directory / options.database, identity_file=identity)) as store:
            store.recall_settled()
            if options.catalog:
                store.adopt(directory / options.catalog)
            yield store


@contextmanager
def _closing(store: Store) -> Iterator[Store]:
    try:
        yield store
    finally:
        store.close()
