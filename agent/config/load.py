"""A configuration file → ``Config``, or every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from agent.config import crosscheck
from agent.config.convert import Conversion
from agent.config.model import Config
from agent.config.nodes import read_tree
from agent.errors import ConfigError, Problem, SecretError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.config.secrets import Secret

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a file says, with where it says it.

    ``config`` may be used only when there are no ``problems``; until then it has gaps and stand-ins, and only
    further checks may look at it.
    """

    file: str
    config: Config | None
    problems: Sequence[Problem]
    warnings: Sequence[Problem]
    lines: Mapping[str, int]
    structs: Sequence[tuple[str, object]]
    secrets: Sequence[tuple[str, Secret]]

    def each(self, kind: type[S]) -> list[tuple[str, S]]:
        """Return every struct of ``kind`` with its key path, in the order of the file."""
        return [(key, struct) for key, struct in self.structs if isinstance(struct, kind)]

    def problem(self, key: str, found: str, allowed: str) -> Problem:
        """Return a problem that stands at ``key``, or where the nearest key around it does."""
        return Problem(file=self.file, line=_line(self.lines, key), key=key, found=found, allowed=allowed)

    def new(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return those of ``problems`` whose key nothing was found wrong with so far.

        A value that is missing or mistaken has a stand-in; what a later check says of that is no news.
        """
        reported = {p.key for p in self.problems}
        return [p for p in problems if p.key not in reported]


def load(path: str) -> Config:
    """Return the configuration in ``path``. Raises ``ConfigError`` with every problem of the file.

    Secrets are not looked up: a destination whose token is missing pauses by itself.
    Nothing is written anywhere.
    """
    loaded = load_with_warnings(path)
    if loaded.problems or loaded.config is None:
        raise ConfigError(loaded.problems)
    return loaded.config


def load_with_warnings(path: str) -> Loaded:
    """Read ``path`` and note all that is wrong or dangerous. Raises ``ConfigError`` when it is no YAML."""
    conversion = Conversion(file=path)
    config = conversion.convert(read_tree(path), Config)
    loaded = Loaded(
        file=path,
        config=config,
        problems=conversion.problems,
        warnings=conversion.warnings,
        lines=conversion.lines,
        structs=conversion.structs,
        secrets=conversion.secrets,
    )
    mistakes = [loaded.problem(*finding) for finding in crosscheck.mistakes(loaded.structs)]
    conversion.problems += loaded.new([*_empty(loaded), *mistakes])
    findings = crosscheck.dangers(loaded.structs, loaded.secrets)
    conversion.warnings += [loaded.problem(*finding) for finding in findings]
    return loaded


def unresolved_secrets(loaded: Loaded) -> list[Problem]:
    """Return a problem for every secret that cannot be looked up now: what is missing, never a value."""
    problems = []
    for key, secret in loaded.secrets:
        try:
            secret.reveal()
        except SecretError as error:
            problems.append(loaded.problem(key, str(error), "a reference that can be resolved, or a default after :-"))
    return problems


def _empty(loaded: Loaded) -> list[Problem]:
    if loaded.config is None:
        return []
    plane = loaded.config.control_plane
    lists: dict[str, Sequence[object]] = {"sources": loaded.config.sources}
    if plane.url is None or not plane.destinations:
        lists["destinations"] = loaded.config.destinations
    # A list with only broken items is empty as well, and that was said.
    return [
        loaded.problem(key, "an empty list", "at least one")
        for key, items in lists.items()
        if not items and not any(p.key.startswith(f"{key}[") for p in loaded.problems)
    ]


def _line(lines: Mapping[str, int], key: str) -> int:
    while key and key not in lines:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return lines.get(key, 1)
