"""A collector that wants a token, and Debian's Chromium to look at its pages with."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.collector.calls import Process
from tests.collector.conftest import each_database, server
from tests.pages.looking import TOKEN, Collector, log_in, watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

__all__ = ["each_database", "server"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that wants a token."""
    folder = tmp_path_factory.mktemp("collector")
    tokens = folder / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    process = Process(folder, "--token-file", str(tokens))
    made = None
    try:
        made = Collector(process)
        yield made
    finally:
        if made:
            made.http.close()
        process.process.terminate()
        process.process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without one nothing about the pages is proved, so that is a failure and no skip.

    It ends with its module: while it is driven, this thread cannot run an event loop of its own.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    assert found, f"no browser: none of {', '.join(BROWSERS)} is installed (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, collector: Collector) -> Iterator[Page]:
    """A logged-in browser; anything a page complains of fails the test."""
    context = browser.new_context(base_url=collector.url)
    opened = context.new_page()
    complaints = watched(opened)
    log_in(opened)
    yield opened
    context.close()
    assert complaints == []
