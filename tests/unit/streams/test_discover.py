"""Globs with excludes, over real folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agent.streams.discover import Patterns, roots

if TYPE_CHECKING:
    from pathlib import Path

FILES = [
    "a.log",
    "a.log.1",
    "a.log.2.gz",
    "a-20260101.log",
    "b.txt",
    ".hidden.log",
    "x/a.log",
    "x/y/a.log",
    "x/y/a.log.1",
    "x/y/z/a.log",
    "own/out.log",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(folder: Path, *include: str, exclude: tuple[str, ...] = (), never: tuple[str, ...] = ()) -> set[str]:
    patterns = Patterns(
        [f"{folder}/{glob}" for glob in include],
        [glob if "/" not in glob else f"{folder}/{glob}" for glob in exclude],
        never=[f"{folder}/{name}" for name in never],
    )
    paths = {path for place in patterns.folders() for path in patterns.files(place)}
    return {os.path.relpath(path, folder) for path in paths}


TOP = {"a.log", "a.log.1", "a.log.2.gz", "a-20260101.log"}


@pytest.mark.parametrize(
    ("globs", "wanted"),
    [
        (["a.log"], TOP),
        (["*.log"], TOP | {".hidden.log"}),
        (["?.log"], TOP),
        (["[a-c].log"], TOP),
        (["[!a].log"], set()),
        (["a.log.1"], {"a.log.1"}),
        (["*/a.log"], {"x/a.log"}),
        (["x/**/a.log"], {"x/a.log", "x/y/a.log", "x/y/a.log.1", "x/y/z/a.log"}),
        (["x/**/z/*.log"], {"x/y/z/a.log"}),
        (["x/**"], {"x/a.log", "x/y/a.log", "x/y/a.log.1", "x/y/z/a.log"}),
        (["b.txt", "x/*.log"], {"b.txt", "x/a.log"}),
        (["missing/*.log"], set()),
        (["./x/../b.txt"], {"b.txt"}),
    ],
)
def test_globs_find_files_and_their_rotated_members(folder: Path, globs: list[str], wanted: set[str]) -> None:
    assert found(folder, *globs) == wanted


@pytest.mark.parametrize("exclude", ["x/**", "x/**/a.log", "**/x/**"])
def test_an_excluded_tree_is_left_alone(folder: Path, exclude: str) -> None:
    assert found(folder, "**/a.log", exclude=(exclude,)) == TOP


def test_an_exclude_without_a_slash_counts_in_every_folder(folder: Path) -> None:
    assert found(folder, "**/*.log", exclude=("a.log", "out.*")) == {".hidden.log"}
    assert "a.log.2.gz" not in found(folder, "*.log", exclude=("*.gz",))
    assert "a.log" in found(folder, "*.log", exclude=("*.gz",))


def test_the_agents_own_files_and_folders_are_never_read(folder: Path) -> None:
    assert found(folder, "**/*.log", never=("own", "x/y", "a.log")) == {".hidden.log", "x/a.log"}


@pytest.mark.parametrize("name", ["a b.log", "ä.log", "[1].log", "a\nb.log", "-.log", "*.log", "a\\b.log", "%s.log"])
def test_odd_names_are_found_by_a_star_and_by_their_own_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert found(tmp_path, "*.log") == {name}
    literal = "".join(f"[{c}]" if c in "*?[" else c for c in name)
    assert found(tmp_path, literal) == {name}


def test_a_set_of_characters_may_hold_any_and_one_that_makes_no_sense_is_literal(tmp_path: Path) -> None:
    for name in ("^.log", "&.log", "z-a.log", "[z-a].log"):
        (tmp_path / name).touch()
    assert found(tmp_path, "[&^~|].log") == {"^.log", "&.log"}
    assert found(tmp_path, "[z-a].log") == {"[z-a].log"}


def test_a_folder_under_a_wildcard_is_not_followed_through_a_link(folder: Path) -> None:
    (folder / "x" / "round").symlink_to(folder / "x")
    assert not any("round" in path for path in found(folder, "x/**/*.log"))


def test_a_linked_folder_that_is_named_is_followed(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "x")
    assert found(folder, "link/*.log") == {"link/a.log"}


def test_roots_are_the_deepest_folders_without_a_wildcard() -> None:
    assert roots(["/var/log/*.log", "/var/log/**/a", "/srv/x/y.log", "/*/a.log", "/l?g/a"]) == [
        "/",
        "/srv/x",
        "/var/log",
    ]
