"""The exceptions of the agent, drawn as a tree.

::

    AgentError
    ├── ConfigError      the configuration is wrong: every problem at once; exit code 2
    ├── UsageError       the command line asks for what is not there; exit code 2
    ├── StateError       the state directory cannot be used (locked, newer version, read-only); exit code 1
    ├── SecretError      a reference to a secret cannot be resolved now
    └── TokenError       whoever issues access tokens gives none now
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class AgentError(Exception):
    """Base of everything the agent raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a configuration file: where it stands, what was found, what is allowed."""

    file: str
    line: int
    key: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """Give the one-line form that every command prints."""
        return f"{self.file}:{self.line}: {self.key}: found {self.found}; allowed: {self.allowed}"


class ConfigError(AgentError):
    """A configuration that cannot be used. Carries every problem found, never only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep ``problems`` in the order of the file's lines."""
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.key)))
        super().__init__("\n".join(map(str, self.problems)))


class UsageError(AgentError):
    """A command line that names what does not exist; the message says what was found and what is allowed."""


class StateError(AgentError):
    """The state directory cannot be used; the message says why and what to do."""


class SecretError(AgentError):
    """A reference such as ``${file:/path}`` cannot be resolved. Never carries the secret itself."""


class TokenError(AgentError):
    """Whoever issues access tokens refused one. Never carries a credential."""

    def __init__(self, message: str, *, temporary: bool, retry_after_seconds: float | None = None) -> None:
        """Say why; ``temporary`` when asking again later may help by itself."""
        super().__init__(message)
        self.temporary = temporary
        self.retry_after_seconds = retry_after_seconds
