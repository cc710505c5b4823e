"""Which live path a rotated name belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.streams.family import family, is_compressed, loose_family

ROTATED = {
    # logrotate: numbers, dates, compression
    "a.log": [
        "a.log.1",
        "a.log.2.gz",
        "a.log.10.xz",
        "a.log.99999",
        "a.log-20260101",
        "a.log-20260101.gz",
        "a.log.3.zst",
    ],
    "syslog": ["syslog.1", "syslog.2.gz", "syslog-20260101", "syslog.1.bz2", "syslog-20260101-1767225600"],
    "app.json": [
        "app.json-2026-01-01",
        "app.json-2026010112",
        "app-20260101.json",
        "app-20260101.json.gz",
        "app.json-31012026",
    ],
    # Python's logging.handlers
    "py.log": ["py.log.1", "py.log.2026-01-01", "py.log.2026-01-01_13", "py.log.2026-01-01_13-05-59"],
    # log4j, logback
    "j.log": [
        "j.2026-01-01.log",
        "j-2026-01-01.log.gz",
        "j-2026-01-01.1.log",
        "j.2026-01-01-13.log",
        "j.log.2026-01-01-13",
        "j.2026-01-01.0.log",
        "j-2026-01-01-1.log.gz",
        "j-2026-01-01-13-1.log.zst",
        "j-01-31-2026-1.log.gz",
    ],
    # lumberjack
    "server.log": ["server-2026-01-01T13-05-59.123.log"],
    # by hand
    "m.log": ["m.log.old", "m.log.bak", "m.log~", "m.log.1.old", "m.log.prev"],
    # epoch seconds
    "e.log": ["e.log.1767225600", "e.log-1767225600.gz"],
    "noext": ["noext.1", "noext.1.gz"],
}


@pytest.mark.parametrize(("live", "rotated"), [(live, name) for live, names in ROTATED.items() for name in names])
def test_a_rotated_name_belongs_to_its_live_path(live: str, rotated: str) -> None:
    assert family(f"/var/log/{rotated}") == f"/var/log/{live}"


@pytest.mark.parametrize("live", ROTATED)
def test_a_live_name_is_its_own_family(live: str) -> None:
    assert family(f"/var/log/{live}") == f"/var/log/{live}"


@pytest.mark.parametrize(
    "name",
    ["worker-1.log", "worker.1.log", "web2.log", "postgresql-16.log", "log", "1", "20260101", ".1", ".gz", "1.gz"],
)
def test_names_that_only_look_rotated_are_their_own_family(name: str) -> None:
    assert family(f"/var/log/{name}").rsplit("/", 1)[1] in {name, name.removesuffix(".gz") or "gz"}


@pytest.mark.parametrize(
    ("name", "loose"), [("app-1.log", "app.log"), ("app.12.log", "app.log"), ("app_3.log", "app.log")]
)
def test_an_ambiguous_name_is_read_both_ways(name: str, loose: str) -> None:
    assert family(f"/l/{name}") == f"/l/{name}"
    assert loose_family(f"/l/{name}") == f"/l/{loose}"


def test_a_folder_with_a_rotated_name_is_left_alone() -> None:
    assert family("/var/log.1/a.log.1") == "/var/log.1/a.log"


def test_compressed_names() -> None:
    assert [is_compressed(f"a.log{end}") for end in (".1.gz", ".bz2", ".xz", ".zst", ".zip", "")] == [True] * 4 + [
        False
    ] * 2


@given(st.text(st.characters(exclude_characters="/"), min_size=1).filter(lambda n: n not in {".", ".."}))
def test_a_family_is_in_the_same_folder_has_a_name_and_is_its_own_family(name: str) -> None:
    found = family(f"/f/{name}")
    assert found.startswith("/f/")
    assert len(found) > len("/f/")
    assert family(found) == found
