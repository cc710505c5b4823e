"""The databases that the collector's tests run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.collector.calls import DATABASE
from tests.support.postgresql import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgresql import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server; a failure, never a skip, where there is none."""
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test on SQLite in memory, then on a PostgreSQL database of its own."""
    if request.param == "sqlite":
        yield request.param
        return
    server: Server = request.getfixturevalue("server")
    token = DATABASE.set(server.fresh())
    yield request.param
    DATABASE.reset(token)
