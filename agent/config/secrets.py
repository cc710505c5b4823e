"""References to secrets: a value that is looked up when it is used and never shown.

``${env:NAME}`` is a variable of the environment, ``${file:/path}`` the content of a file without its last
newline, ``${credential:NAME}`` a file in systemd's ``$CREDENTIALS_DIRECTORY``. A default stands after ``:-``
and is taken when the variable or file is missing or empty. Several references and plain text may stand side
by side; ``$${`` is a plain ``${``.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from agent.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable

ALLOWED_REFERENCES = "${env:NAME}, ${file:/path}, ${credential:NAME}, each with :-default; $${ for a plain ${"
MAX_FILE_BYTES = 64 * 1024
MASK = "***"

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<body>[^{}]*)\}|\$\{")


def has_references(text: str) -> bool:
    """Say whether ``resolve`` would change ``text`` or refuse it."""
    return _REFERENCE.search(text) is not None


def resolve(text: str) -> str:
    """Return ``text`` with every reference replaced by its value, as it is now.

    Raises ``SecretError``, which names the reference and what is missing, never a value.
    """
    return _REFERENCE.sub(lambda match: "${" if match[0] == "$${" else _look_up(match["body"]), text)


class Secret:
    """A reference to a secret, or a literal that is masked.

    Equal when the texts are; nothing but ``reveal`` gives a value away, and it refuses to be pickled.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep ``text``; nothing is resolved yet."""
        self._text = text

    def reveal(self) -> str:
        """Return the value now; files are read again, so a rotated token is seen.

        Raises ``SecretError`` when a reference cannot be resolved.
        """
        return resolve(self._text)

    @property
    def is_literal(self) -> bool:
        """Whether the value itself, and not a reference, was written down."""
        return bool(self._text) and not any(m["body"] is not None for m in _REFERENCE.finditer(self._text))

    def __str__(self) -> str:
        """Show the references; plain text and defaults are masked."""
        shown, at = [], 0
        for match in _REFERENCE.finditer(self._text):
            if match["body"] is None:
                continue
            shown += [MASK if match.start() > at else "", _masked(match["body"])]
            at = match.end()
        return "".join([*shown, MASK if len(self._text) > at else ""])

    def __repr__(self) -> str:
        """Show the references only."""
        return f"Secret({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Compare the texts, not what they resolve to."""
        return self._text == other._text if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        """Return itself: it never changes."""
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        """Return itself: it never changes."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a pickle would hold the value."""
        raise TypeError("a secret cannot be pickled")


def _masked(body: str) -> str:
    scheme_and_name, default_mark, _ = body.partition(":-")
    if scheme_and_name.partition(":")[0] not in _SCHEMES:
        return MASK
    return f"${{{scheme_and_name}{':-' + MASK if default_mark else ''}}}"


def _look_up(body: str | None) -> str:
    reference, has_default, default = (body or "").partition(":-")
    scheme, _, name = reference.partition(":")
    source = _SCHEMES.get(scheme)
    if source is None or not name:
        # The text itself is not repeated: inside a literal password it would be a part of it.
        raise SecretError(f"a ${{…}} that is no reference; known are {ALLOWED_REFERENCES}")
    try:
        value, missing = source(name), "is empty"
    except _MissingError as error:
        value, missing = "", str(error)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SecretError(f"${{{reference}}}: {reason}") from None
    if value or has_default:
        return value or default
    raise SecretError(f"${{{reference}}}: {missing}")


class _MissingError(Exception):
    """Nothing stands there, so a default may."""


def _from_env(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
        raise ValueError("not the name of an environment variable")
    value = os.environ.get(name)
    if value is None:
        raise _MissingError(f"the environment variable {name} is not set")
    return value


def _from_file(name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise ValueError("the path must be absolute")
    try:
        # Looked at before it is opened: opening a FIFO would wait for a writer.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise _MissingError("no such file") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None


def _from_credential(name: str) -> str:
    if "/" in name or name in {".", ".."}:
        raise ValueError("not the name of a credential")
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise _MissingError("CREDENTIALS_DIRECTORY is not set: the service manager passed no credentials")
    return _from_file(str(Path(directory).absolute() / name))


_SCHEMES: dict[str, Callable[[str], str]] = {
    "env": _from_env,
    "file": _from_file,
    "credential": _from_credential,
}
