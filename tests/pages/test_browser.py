"""The pages in a real browser: what people do with them, and what a hostile event cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.pages.looking import TOKEN, event, lane, log_in, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.pages.looking import Collector

HOSTILE = "\u202e</td><script>alert(1)</script><img src=x onerror=alert(2)>\u200b\u0007\u2066"
FILTER = {"filter_type": "subsystem", "value": "access"}
SIZES: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}
CUT = """[...document.querySelectorAll("nav a, td, dd, h1, h2, h3, figcaption, .sub, code, .state, .badge")]
.filter(e => e.checkVisibility() && e.getBoundingClientRect().width > 1).filter(e => {
  const room = e.closest("tr, nav, .card, figure, main").getBoundingClientRect(), own = e.getBoundingClientRect();
  if (own.right > room.right + 1 || own.left < room.left - 1) return true;
  return e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
}).map(e => e.outerHTML.slice(0, 200))"""
"""Script: what reaches out of the row or card it is in, or is wider than its own room."""
PAGES = ("events", "events/named-1", "agents", "agents/edge-07", "destinations", "rejects")


def fill(collector: Collector) -> None:
    """Have something of everything to show."""
    rows = [
        event(
            "named-1", log_type="access", hostname="edge-07", method="GET", path="/reports/q1.pdf", response_code=200
        ),
        event(
            "named-2", log_type="authentication", hostname="db-01", event_name="Token", result="Failure", user_id="u-9"
        ),
        event("named-3", hostname="web-3.with-a-rather-long-name.example.net", message="x" * 3000),
        event("named-4", **dict.fromkeys(("message", "hostname", "user_id"), HOSTILE)),
    ]
    collector.put(*rows)
    refused = {"time": "2026-05-04T12:00:00Z", "destination": "soc", "unique_id": "a" * 32 + ".1f", "reason": HOSTILE}
    lanes = [
        lane(state="backing_off", last_error="connection refused", lag_seconds=700, rejected={"drop_rejected": 3}),
        lane(name="mine", type="file", location="file:///var/log/audit/of-this-host/all-of-it.log"),
    ]
    sources = [{"name": "access", "files": 3, "events": 1234567, "bytes": 99999999}]
    for sent in (0, 60_000):
        collector.report(
            "edge-07", sent=sent, destinations=lanes, sources=sources, rejects=[{**refused, "status": 400}]
        )
    collector.report("db-01", destinations=[lane(accepted=5)])
    collector.keep("soc", location="https://soc.example.net/hook?code=s3cret", filters=[FILTER])
    collector.keep("archive", destination_type="file", location="file:///var/log/audit/archive.log", enabled=False)
    collector.keep(HOSTILE, comment=HOSTILE, location="https://[fe80::1]:8443/")


def test_each_page_fits_in_light_in_dark_and_on_a_phone(browser: Browser, collector: Collector, tmp_path: Path) -> None:
    fill(collector)
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    for size, options in SIZES.items():
        context = browser.new_context(base_url=collector.url, **options)
        page = context.new_page()
        complaints = watched(page)
        page.goto("/login")
        page.screenshot(path=folder / f"login-{size}.png")
        log_in(page)
        for name in PAGES:
            page.goto(f"/{name}")
            picture = page.screenshot(path=folder / f"{name.replace('/', '-')}-{size}.png", full_page=True)
            assert len(picture) > 5000, f"{name} in {size}: nothing is drawn"
            wide, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert wide <= room, f"{name} in {size}: {wide} pixels wide of {room}"
            assert page.evaluate(CUT) == [], f"{name} in {size}: text reaches out of its box"
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (colour == "rgb(16, 21, 28)") == (size == "dark"), f"{name} in {size}: {colour}"
        context.close()
        assert complaints == []


def test_a_token_lets_in_a_wrong_one_does_not_and_logging_out_ends_it(browser: Browser, collector: Collector) -> None:
    collector.put(event("named-1", message="seen"))
    context = browser.new_context(base_url=collector.url)
    page = context.new_page()
    page.goto("/events/named-1")
    page.fill("#token", "no-such-token")
    page.press("#token", "Enter")
    page.wait_for_selector("[role=alert]")
    assert "not known" in page.inner_text("[role=alert]")
    page.fill("#token", TOKEN)
    page.click("text=Log in >> nth=-1")
    page.wait_for_url("**/events/named-1")
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.click("text=Log out")
    page.wait_for_url("**/login")
    assert context.cookies() == []
    context.add_cookies([cookie])  # kept by whoever saw it: it is worth nothing any more
    page.goto("/events")
    assert page.url.startswith(f"{collector.url}/login")
    context.close()


def test_a_hostile_event_is_shown_and_does_nothing(page: Page, collector: Collector) -> None:
    deep = b'{"unique_id":"deep","create_time":"2026-05-04T12:00:00Z","event":{"log_type":"logs","message":"deep","x":'
    collector.put(
        event("evil", message=HOSTILE, hostname=HOSTILE, user_id=HOSTILE, **{HOSTILE: HOSTILE}),
        deep + b"[" * 900 + b'"' + b"y" * 1_000_000 + b'"' + b"]" * 900 + b"}}",
    )
    refused = {"time": HOSTILE, "destination": HOSTILE, "reason": HOSTILE, "status": 400}
    deepest = "[" * 900 + HOSTILE + "]" * 900
    answer = collector.report(
        "edge-07",
        destinations=[lane(name=HOSTILE, last_error=HOSTILE, location=HOSTILE, rejected={HOSTILE: 3})],
        hostname=HOSTILE,
        rejects=[{**refused, "unique_id": HOSTILE}, {**refused, "unique_id": "deep", "reason": deepest}],
    )
    assert answer.status_code == 204
    reason = {**refused, "unique_id": "huge", "reason": "z" * 1_000_000}
    assert collector.report("edge-08", rejects=[reason]).status_code == 413
    paths = ("/events", "/events/evil", "/events/deep", "/agents", "/agents/edge-07", "/destinations", "/rejects")
    for path in paths:
        page.goto(path)
        text = page.inner_text("main")
        assert "\u202e" not in text
        assert "\u2066" not in text
        assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0
        if "deep" not in path:
            assert "U+202E" in text
            assert "<script>alert(1)</script>" in text
    page.goto("/rejects")
    assert page.locator("tr[data-row]").count() == 3
    text = page.inner_text("main table >> nth=1")
    assert text.count("U+202E") == 8, "in time, destination, agent, of both, and in the id and the reason of one"
    assert text.count("[") == 300, "a long reason is shown in part"
    assert "z" * 100 not in page.content()
    page.goto("/events/deep")
    assert page.inner_text("main pre").count("[") == 900
    with page.expect_download() as download:
        page.click("a[download]")
    assert Path(download.value.path()).stat().st_size > 1_000_000


def test_new_events_come_in_by_themselves_on_top_and_stop_when_told(page: Page, collector: Collector) -> None:
    collector.put(event("old", message="the old one"))
    page.goto("/events")
    collector.put(event("new", message="the new one"))
    page.wait_for_selector("text=the new one")
    assert "the new one" in page.inner_text("tbody tr >> nth=0")
    assert "1 new" in page.inner_text("[data-status]")
    page.click("[data-live]")
    assert page.get_attribute("[data-live]", "aria-pressed") == "false"
    assert page.inner_text("[data-status]") == ""


def test_live_keeps_to_the_search(page: Page, collector: Collector) -> None:
    page.goto("/events?type=access")
    collector.put(event("a", message="not asked for"), event("b", log_type="access", message="asked for"))
    page.wait_for_selector("tbody tr")
    assert page.locator("tbody tr").count() == 1


def test_it_is_worked_with_keys_alone(page: Page, collector: Collector) -> None:
    collector.put(event("one", message="first"), event("two", message="second"))
    page.goto("/events")
    page.keyboard.press("/")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=first**")
    assert page.locator("tbody tr").count() == 1
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/events/one")
    page.keyboard.press("2")
    page.wait_for_url("**/agents")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"


def test_without_scripts_searching_and_reading_works(browser: Browser, collector: Collector) -> None:
    collector.put(event("one", message="first"), event("two", message="second"))
    context = browser.new_context(base_url=collector.url, java_script_enabled=False)
    page = context.new_page()
    log_in(page)
    page.fill("[name=q]", "second")
    page.click("text=Search")
    page.click("tbody tr a")
    assert "second" in page.inner_text("main")
    context.close()


def test_a_page_elsewhere_cannot_log_anybody_in_or_out(browser: Browser, collector: Collector) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto("about:blank")
    page.set_content(
        f'<form method="post" action="{collector.url}/login"><input name="token" value="{TOKEN}"></form>'
        "<script>document.forms[0].submit()</script>"
    )
    page.wait_for_selector("[role=alert]")
    assert "did not come from this page" in page.inner_text("[role=alert]")
    assert context.cookies() == []
    context.close()


@pytest.mark.parametrize("path", ["/agents", "/agents/edge-07"])
def test_rate_and_lag_are_drawn(page: Page, collector: Collector, path: str) -> None:
    for sent in (0, 6000):
        assert collector.report("edge-07", sent=sent, destinations=[lane(lag_seconds=90)]).status_code == 204
    page.goto(path)
    figures = page.locator("figure")
    labels = [figures.nth(index).get_attribute("aria-label") for index in range(figures.count())]
    assert labels == ["Delivered: newest 100/s, highest 100/s", "Lag: newest 1 min 30 s, highest 1 min 30 s"]
    assert page.locator("figure .line").first.get_attribute("d")
    page.click("text=24h")
    page.wait_for_url("**span=24h")
