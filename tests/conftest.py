"""What every test runs under: asyncio unless it asks for virtual time, a limit on its duration, no skips in CI."""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_SECONDS = 120

hypothesis.settings.register_profile("ci", deadline=None, print_blob=True)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


# A shell starts what runs in the background with SIGINT ignored, and programs that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio; a module that wants virtual time says so itself."""
    return "asyncio"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """End a test that hangs, with a traceback of every thread."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_SECONDS

    def too_long(_number: int, _frame: object) -> None:
        faulthandler.dump_traceback(all_threads=True)
        pytest.fail(f"did not end within {seconds} s", pytrace=False)

    previous = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn a skipped test into a failed one in CI: what is not tested is not known to work."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
