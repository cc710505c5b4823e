"""What somebody searches for, as the address of the page says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from agent.collector.pages.lines import has_text, has_user
from agent.collector.store.search import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RANGES = {"15m": 900, "1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "": None}
"""Choices of how far back, in seconds; the last one is everything."""
TYPES = ("access", "authorization", "authentication", "api", "logs")
MOST_CHARACTERS = 256
PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The fields of the form as they were entered."""

    text: str = ""
    log_type: str = ""
    hostname: str = ""
    user: str = ""
    range: str = ""
    since: str = ""
    until: str = ""
    problem: str = ""

    def address(self, **more: object) -> str:
        """Return the query of this search's address, with ``more``."""
        own = {
            "q": self.text,
            "type": self.log_type,
            "host": self.hostname,
            "user": self.user,
            "range": self.range,
            "since": self.since,
            "until": self.until,
        }
        return urlencode([(name, value) for name, value in {**own, **more}.items() if value not in ("", None)])

    @property
    def is_narrow(self) -> bool:
        """Tell whether anything is asked for at all."""
        return bool(self.address())

    def wanted(self, now: float, *, before: int | None = None, after: int | None = None) -> Wanted:
        """Return what the store is asked; ``now`` in unix seconds."""
        back = RANGES.get(self.range)
        since = _microseconds(self.since) if self.since else (int((now - back) * 1e6) if back else None)
        return Wanted(
            log_type=self.log_type or None,
            hostname=self.hostname or None,
            since=since,
            until=_microseconds(self.until) if self.until else None,
            before=before,
            after=after,
        )

    def accept(self) -> Callable[[bytes], bool] | None:
        """Return the test of an envelope that the store cannot make; None when there is none."""
        tests = [*([has_user(self.user)] if self.user else []), *([has_text(self.text)] if self.text else [])]
        return (lambda envelope: all(test(envelope) for test in tests)) if tests else None


def asked(query: Mapping[str, str]) -> Asked:
    """Read a search from an address; what cannot be understood is left out and said in ``problem``."""

    def field(name: str) -> str:
        return query.get(name, "").strip()[:MOST_CHARACTERS]

    since, until, problem = field("since"), field("until"), ""
    for text in filter(None, (since, until)):
        if _microseconds(text) is None:
            problem = f"“{text}” is no time; allowed: 2026-05-04 or 2026-05-04T12:00 (UTC)"
    return Asked(
        text=field("q"),
        log_type=field("type"),
        hostname=field("host"),
        user=field("user"),
        range=found if (found := field("range")) in RANGES else "",
        since=since if _microseconds(since) is not None else "",
        until=until if _microseconds(until) is not None else "",
        problem=problem,
    )


def _microseconds(text: str) -> int | None:
    try:
        parsed = datetime.fromisoformat(text)
        stamp = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return int(stamp * 1e6)
