"""CEL predicates over records (WIRE 1.3), bounded in what they may compute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import cel

from agent.collector.store.tables import AUDIT_TEXTS, AUTH_TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 1024
MAX_MACROS = 2
"""Loops in an expression: nested, they multiply."""
_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter|reduce)\s*\(")
_BOUND = re.compile(_MACRO.pattern + r"\s*(\w+)\s*,")
_LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_TEXTS = frozenset(
    {
        *AUDIT_TEXTS,
        *AUTH_TEXTS,
        *("user_email", "target_resource_name", "target_resource_org_id", "secondary_id", "tertiary_id"),
        *("parent_id", "grandparent_id", "description", "org_name", "issuer", "application_name", "login_org_name"),
        *("user_agent", "time", "log_type", "hostname", "source_org_id", "source_type"),
    }
)
_EMPTY: dict[str, Any] = {**dict.fromkeys(_TEXTS, ""), "audit_attributes": []}


class ExpressionError(ValueError):
    """The expression cannot be used; the message says why."""


class Expression:
    """A compiled predicate."""

    def __init__(self, text: str) -> None:
        """Compile ``text``. Raises ``ExpressionError``."""
        if len(text) > MAX_CHARACTERS:
            raise ExpressionError(f"found {len(text)} characters; allowed: at most {MAX_CHARACTERS}")
        if len(_MACRO.findall(_LITERAL.sub('""', text))) > MAX_MACROS:
            raise ExpressionError(f"found more than {MAX_MACROS} of all, exists, exists_one, map, filter")
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise ExpressionError(str(error).splitlines()[0][:300]) from error
        bound = set(_BOUND.findall(text))
        if unknown := set(self._program.variables()) - set(_EMPTY) - bound - {"record"}:
            name = min(unknown)
            raise ExpressionError(f"found {name!r}; allowed: members of a record, and record.{name} for any other")
        # What is wrong with every record is wrong with the expression.
        result = self._evaluate({})
        if isinstance(result, TypeError) or "Undefined variable or function" in str(result):
            raise ExpressionError(str(result).splitlines()[0][:300])
        if not isinstance(result, bool | Exception):
            raise ExpressionError(f"found an expression of the type {type(result).__name__}; allowed: bool")

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Tell whether the record satisfies it; one that it cannot be computed for does not. May raise nothing."""
        return self._evaluate(record) is True

    def _evaluate(self, record: Mapping[str, Any]) -> object:
        known = {name: value for name, value in record.items() if name in _EMPTY and value is not None}
        try:
            return self._program.execute({**_EMPTY, **known, "record": dict(record)})
        except Exception as error:  # noqa: BLE001 # the library's errors have no common type
            return error
