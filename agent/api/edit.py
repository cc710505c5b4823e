"""Changes to the document of a destination. Pure: each returns a new document, with every member it does not know."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.api.client import Document

FILTER_TYPES = ("subsystem", "audit_agent_type", "audit_agent_id", "hostname", "phase")
_MERGED = frozenset({"routing", "oauth2"})


def changed(document: Document, members: Mapping[str, Any]) -> Document:
    """Return ``document`` with ``members`` in its spec.

    A mapping of ``routing`` is merged into what is there; all others take the place of what is there. None removes.
    """
    new = copy.deepcopy(document)
    spec = new.setdefault("spec", {})
    for name, value in members.items():
        if value is None:
            spec.pop(name, None)
        elif name in _MERGED and isinstance(spec.get(name), dict):
            spec[name] = {k: v for k, v in {**spec[name], **value}.items() if v is not None}
        else:
            spec[name] = copy.deepcopy(value)
    return new


def with_filter(document: Document, filter_type: str, values: Sequence[str]) -> Document:
    """Return ``document`` that lets ``values`` pass, too: added to the filter of this type, or to a new one.

    A filter that has a ``value`` keeps it; further values go to its ``or_list``.
    """
    new = copy.deepcopy(document)
    filters = _filters(new)
    for each in filters:
        if isinstance(each, dict) and each.get("filter_type") == filter_type:
            listed = [v for v in each.get("or_list") or [] if isinstance(v, str)]
            missing = [v for v in values if v not in listed and v != each.get("value")]
            if missing:
                each["or_list"] = [*listed, *dict.fromkeys(missing)]
            return new
    filters.append({"filter_type": filter_type, "or_list": list(dict.fromkeys(values))})
    return new


def without_filter(document: Document, filter_type: str, values: Sequence[str] | None) -> Document:
    """Return ``document`` without ``values`` in its filters of this type; with None, without these filters at all.

    A filter that loses its last value goes as a whole.
    """
    new = copy.deepcopy(document)
    filters = _filters(new)
    kept = []
    for each in filters:
        if not isinstance(each, dict) or each.get("filter_type") != filter_type:
            kept.append(each)
        elif values is not None and (rest := _less(each, set(values))) is not None:
            kept.append(rest)
    new["spec"]["filters"] = kept
    return new


def _less(each: dict[str, Any], gone: set[str]) -> dict[str, Any] | None:
    """Return the filter without the values in ``gone``; None when none of what it had is left."""
    listed = [v for v in each.get("or_list") or [] if v not in gone]
    single = each.get("value") if each.get("value") not in gone else None
    had = each.get("value") is not None or bool(each.get("or_list"))
    if had and single is None and not listed:
        return None
    rest = {name: value for name, value in each.items() if name not in ("value", "or_list")}
    if single is not None:
        rest["value"] = single
    if listed:
        rest["or_list"] = listed
    return rest


def _filters(document: Document) -> list[Any]:
    spec = document.setdefault("spec", {})
    found = spec.get("filters")
    filters: list[Any] = found if isinstance(found, list) else []
    spec["filters"] = filters
    return filters
