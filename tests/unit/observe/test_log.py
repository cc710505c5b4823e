"""One JSON line per event on standard error, from us and from libraries alike."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from agent.observe import log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_a_utc_time_its_level_its_logger_and_its_fields() -> None:
    out = io.StringIO()
    log.configure(level="info", format="auto", stream=out)
    structlog.get_logger("agent.lane").warning("destination_pauses", destination="soc", reason="two\nlines")
    (line,) = lines(out)
    assert list(line) == ["timestamp", "level", "logger", "event", "destination", "reason"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["logger"], line["event"]) == ("warning", "agent.lane", "destination_pauses")
    assert line["reason"] == "two\nlines"


def test_events_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    log.configure(level="warning", format="json", stream=out)
    logger = structlog.get_logger("a")
    logger.debug("x")
    logger.info("x")
    logger.error("y")
    assert [line["event"] for line in lines(out)] == ["y"]


def test_libraries_speak_in_the_same_form_and_only_from_warning_on_even_at_debug() -> None:
    out = io.StringIO()
    log.configure(level="debug", format="json", stream=out)
    logging.getLogger("httpcore.http11").debug("send_request_headers Bearer abcdefgh")
    logging.getLogger("httpx").info("HTTP Request: POST")
    logging.getLogger("uvicorn.error").warning("Invalid %s received", "request")
    (line,) = lines(out)
    assert (line["logger"], line["event"], line["level"]) == ("uvicorn.error", "Invalid request received", "warning")


def test_an_exception_is_a_text_field_without_secrets() -> None:
    out = io.StringIO()
    log.configure(level="info", format="json", stream=out)
    for logger in (structlog.get_logger("a"), logging.getLogger("library")):
        try:
            int("Bearer abcdefgh")
        except ValueError:
            logger.exception("attempt_failed")
    assert len(lines(out)) == 2
    for line in lines(out):
        assert "ValueError: invalid literal" in line["exception"]
        assert "abcdefgh" not in line["exception"]


def test_a_terminal_gets_text_that_cannot_steer_it() -> None:
    out = Terminal()
    log.configure(level="info", format="auto", stream=out)
    structlog.get_logger("a").info("file_seen", path="a\x1b]0;owned\x07", password="hunter2")
    assert "file_seen" in out.getvalue()
    assert "\\x1b]0;owned\\x07" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_json_can_be_asked_for_on_a_terminal() -> None:
    out = Terminal()
    log.configure(level="info", format="json", stream=out)
    structlog.get_logger("a").info("file_seen", name=b"raw \xff")
    assert lines(out)[0]["event"] == "file_seen"


def test_a_log_that_nobody_takes_does_not_stop_the_agent() -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    log.configure(level="info", format="json", stream=Full())
    structlog.get_logger("a").error("bytes_lost")
    logging.getLogger("library").error("trouble")


def test_a_name_that_is_no_utf8_can_be_logged() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8")
    log.configure(level="info", format="json", stream=out)
    structlog.get_logger("a").warning("file_unreadable", path=b"\xff.log".decode(errors="surrogateescape"))
    assert json.loads(raw.getvalue())["event"] == "file_unreadable"
