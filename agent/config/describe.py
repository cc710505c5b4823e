"""Nodes and types in words, for messages; and what stands in for a value that is missing. Pure."""

from __future__ import annotations

from typing import Any

import msgspec.inspect as mi
import yaml

from agent.config.secrets import Secret

TAG = "tag:yaml.org,2002:"


class Nothing:
    """There is no value: the problem is noted already."""


NOTHING = Nothing()


def is_null(node: yaml.Node) -> bool:
    """Tell whether ``node`` is null, or nothing at all after the colon."""
    return isinstance(node, yaml.ScalarNode) and node.tag == TAG + "null"


def stand_in(wanted: mi.Type) -> Any:  # noqa: ANN401
    """Return a harmless value in the place of a required one, so that its struct can be built and checked."""
    match wanted:
        case mi.StrType():
            return ""
        case mi.ListType():
            return []
        case mi.CustomType() if wanted.cls is Secret:
            return Secret("")
        case _:
            return NOTHING


def quoted(node: yaml.ScalarNode) -> str:
    """Return the text of the file itself, shortened; never what a reference in it stands for."""
    text = node.value
    return "nothing" if is_null(node) and text == "" else repr(text if len(text) <= 60 else text[:57] + "…")


def kind(node: yaml.Node) -> str:
    """Say what sort of value ``node`` is, without its content: it may be a secret in the wrong place."""
    if not node.tag.startswith(TAG):
        return f"the tag {node.tag[:60]}"
    names = {"map": "a mapping", "seq": "a list", "str": "text", "null": "nothing", "bool": "true or false"}
    name = node.tag.removeprefix(TAG)
    return names.get(name, "a number" if name in {"int", "float"} else f"the tag !!{name[:60]}")


def describe(wanted: mi.Type) -> str:
    """Say what sort of value is ``wanted``."""
    match wanted:
        case mi.Metadata():
            return describe(wanted.type)
        case mi.StrType() | mi.CustomType():
            return "text"
        case mi.StructType() | mi.DictType():
            return "a mapping (key: value)"
        case mi.ListType():
            return "a list"
        case mi.BoolType():
            return "true or false"
        case mi.LiteralType():
            return f"one of {', '.join(map(str, wanted.values))}"
        case _:
            return "a number"
