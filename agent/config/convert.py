"""YAML nodes → the structs of the model, with every mistake noted on the way.

The structs themselves are the schema: keys, types, limits and defaults are read from them by
``msgspec.inspect``. A value that is wrong is replaced by its default (or by nothing), so that the rest can
still be checked; whoever asks for a configuration to run looks at ``problems`` first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import msgspec.inspect as mi
import yaml

from agent.config import scalars
from agent.config.describe import NOTHING, TAG, Nothing, describe, is_null, kind, quoted, stand_in
from agent.config.nodes import MAX_DEPTH, line_of
from agent.config.scalars import NotAllowedError, Scalar
from agent.config.secrets import Secret, has_references, resolve
from agent.errors import Problem, SecretError

MAX_VALUES = 200_000
"""Values in one file with every alias written out: a few lines of aliases of aliases would make billions."""

_KINDS = {"str", "int", "float", "bool", "null", "timestamp", "merge", "value"}
_IMPLICIT = yaml.resolver.Resolver()
# A misspelt member of the API's object is a mistake, a member this version does not know yet is not: the bar
# between the two is higher than for strict parts, where the nearest key is only a hint.
_MISSPELT, _HINT = 0.8, 0.5


class _TooManyError(Exception):
    """The file unfolds into too many values, or for ever: an alias may stand inside what it names."""


@dataclass(slots=True, kw_only=True)
class Conversion:
    """What became of one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    """Key path → line."""
    structs: list[tuple[str, object]] = field(default_factory=list)
    """Every struct that was read, with its key path."""
    secrets: list[tuple[str, Secret]] = field(default_factory=list)
    """Every secret, with its key path."""
    values: int = 0
    depth: int = 0

    def convert(self, root: yaml.Node, model: type) -> Any:  # noqa: ANN401 - an instance of ``model``, or None
        """Return the struct that ``root`` describes; complete only when there are no ``problems``."""
        try:
            value = self._value(root, mi.type_info(model), "")
        except _TooManyError:
            found = "aliases that unfold without end, or into too many values"
            self._note(root, "", found, f"at most {MAX_VALUES} values, {MAX_DEPTH} levels deep")
            return None
        return None if value is NOTHING else value

    def _note(self, node: yaml.Node, key: str, found: str, allowed: str) -> None:
        self.problems.append(
            Problem(file=self.file, line=line_of(node), key=key or "(file)", found=found, allowed=allowed)
        )

    def _value(self, node: yaml.Node, wanted: mi.Type, key: str, unit: str | None = None) -> Any:  # noqa: ANN401
        self.values += 1
        if self.values > MAX_VALUES or self.depth > MAX_DEPTH:
            raise _TooManyError
        self.lines.setdefault(key, line_of(node))
        self.depth += 1
        try:
            return self._typed(node, wanted, key, unit)
        finally:
            self.depth -= 1

    def _typed(self, node: yaml.Node, wanted: mi.Type, key: str, unit: str | None) -> Any:  # noqa: ANN401
        match wanted:
            case mi.Metadata():
                return self._typed(node, wanted.type, key, (wanted.extra or {}).get("unit"))
            case mi.UnionType():
                return self._optional(node, wanted, key, unit)
            case mi.StructType():
                return self._struct(node, wanted, key)
            case mi.ListType():
                return self._list(node, wanted, key)
            case mi.DictType():
                return self._dict(node, wanted, key)
            case mi.AnyType():
                return self._anything(node, key)
            case _:
                return self._scalar(node, wanted, key, unit)

    def _optional(self, node: yaml.Node, wanted: mi.UnionType, key: str, unit: str | None) -> Any:  # noqa: ANN401
        if is_null(node):
            return None
        inner = [t for t in wanted.types if not isinstance(t, mi.NoneType)]
        if len(inner) == 1:
            return self._typed(node, inner[0], key, unit)
        chosen = self._chosen(node, [t for t in inner if isinstance(t, mi.StructType)], key)
        return NOTHING if chosen is None else self._struct(node, chosen, key)

    def _chosen(self, node: yaml.Node, kinds: list[mi.StructType], key: str) -> mi.StructType | None:
        """Return which of ``kinds`` the mapping's tag names; the first one when it names none."""
        tag = str(kinds[0].tag_field)
        noted = len(self.problems)
        pairs = self._pairs(node, key) or {}
        del self.problems[noted:]  # what is wrong with the mapping is said when it is read as what it is
        if tag not in pairs:
            return kinds[0]
        allowed = tuple(str(one.tag) for one in kinds)
        name = self._value(pairs[tag][1], mi.LiteralType(allowed), f"{key}.{tag}")
        return next((one for one in kinds if one.tag == name), None)

    def _struct(self, node: yaml.Node, wanted: mi.StructType, key: str) -> Any:  # noqa: ANN401
        pairs = self._pairs(node, key)
        if pairs is None:
            return NOTHING
        known = {f.encode_name: f for f in wanted.fields}
        if "spec" in pairs and "spec" not in known and not wanted.forbid_unknown_fields:
            pairs = self._api_object(pairs, key)
        values: dict[str, Any] = {}
        for name, (name_node, value_node) in pairs.items():
            path = f"{key}.{name}" if key else name
            if name not in known:
                self._unknown(name_node, name, path, wanted)
            elif not self._left_out(value_node, known[name], tolerant=not wanted.forbid_unknown_fields):
                values[known[name].name] = self._value(value_node, known[name].type, path)
                self.lines[path] = line_of(name_node)
        for f in wanted.fields:
            if not f.required:
                if values.get(f.name) is NOTHING:
                    del values[f.name]
                continue
            if f.name not in values:
                path = f"{key}.{f.encode_name}" if key else f.encode_name
                self._note(node, path, "nothing", f"{describe(f.type)} (required)")
            if values.get(f.name, NOTHING) is NOTHING:
                values[f.name] = stand_in(f.type)
        if any(value is NOTHING for value in values.values()):
            return NOTHING
        struct = wanted.cls(**values)
        self.structs.append((key, struct))
        return struct

    def _api_object(
        self, pairs: dict[str, tuple[yaml.Node, yaml.Node]], key: str
    ) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Flatten ``{spec: {…}, metadata: {id: …}}``, the object as the API returns it."""
        spec = self._pairs(pairs["spec"][1], f"{key}.spec") or {}
        beside = {name: pair for name, pair in pairs.items() if name not in {"spec", "metadata"}}
        if "metadata" in pairs and not is_null(pairs["metadata"][1]):
            metadata = self._pairs(pairs["metadata"][1], f"{key}.metadata") or {}
            beside |= {"id": metadata["id"]} if "id" in metadata else {}
        for name in beside.keys() & spec.keys():
            self._note(beside[name][0], f"{key}.{name}", "the key a second time, beside spec", "one of the two")
        return spec | beside

    def _unknown(self, node: yaml.Node, name: str, path: str, wanted: mi.StructType) -> None:
        if name == wanted.tag_field:
            return  # it has said which struct this is
        names = [f.encode_name for f in wanted.fields] + ([wanted.tag_field] if wanted.tag_field else [])
        inside = [
            f.encode_name
            for f in wanted.fields
            if isinstance(f.type, mi.StructType) and any(name == inner.encode_name for inner in f.type.fields)
        ]
        strict = wanted.forbid_unknown_fields
        near = get_close_matches(name.replace("-", "_").lower(), names, n=1, cutoff=_HINT if strict else _MISSPELT)
        if inside:
            self._note(node, path, "a key that belongs further in", f"{inside[0]}.{name}")
        elif near and near[0] not in _META_KEYS:
            self._note(node, path, "an unknown key", f"did you mean {near[0]}? known are {', '.join(names)}")
        elif strict:
            self._note(node, path, "an unknown key", ", ".join(names))
        else:
            line, known = line_of(node), f"known are {', '.join(names)}"
            self.warnings.append(
                Problem(file=self.file, line=line, key=path, found="an unknown member, ignored", allowed=known)
            )

    def _left_out(self, node: yaml.Node, member: mi.Field, *, tolerant: bool) -> bool:
        """Tell whether null means "not written": a block of comments only, or the API's absent member."""
        if member.required or not is_null(node):
            return False
        return tolerant or isinstance(member.type, mi.StructType | mi.ListType | mi.DictType)

    def _list(self, node: yaml.Node, wanted: mi.ListType, key: str) -> Any:  # noqa: ANN401
        if not isinstance(node, yaml.SequenceNode) or node.tag != TAG + "seq":
            self._note(node, key, kind(node), describe(wanted))
            return NOTHING
        items = [self._value(item, wanted.item_type, f"{key}[{i}]") for i, item in enumerate(node.value)]
        if wanted.min_length is not None and len(items) < wanted.min_length:
            self._note(node, key, "an empty list", f"at least {wanted.min_length}")
            return NOTHING
        return [item for item in items if item is not NOTHING]

    def _dict(self, node: yaml.Node, wanted: mi.DictType, key: str) -> Any:  # noqa: ANN401
        pairs = self._pairs(node, key)
        if pairs is None:
            return NOTHING
        values = {
            name: self._value(value_node, wanted.value_type, f"{key}.{name}") for name, (_, value_node) in pairs.items()
        }
        return {name: value for name, value in values.items() if value is not NOTHING}

    def _pairs(self, node: yaml.Node, key: str, *, depth: int = 0) -> dict[str, tuple[yaml.Node, yaml.Node]] | None:
        """Return name → (key node, value node), with ``<<`` written out; None when it is no mapping."""
        if not isinstance(node, yaml.MappingNode) or node.tag != TAG + "map" or depth > 8:
            self._note(node, key, kind(node), "a mapping (key: value)")
            return None
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for name_node, value_node in node.value:
            self.values += 1
            if self.values > MAX_VALUES:
                raise _TooManyError
            if not isinstance(name_node, yaml.ScalarNode):
                self._note(name_node, key, f"{kind(name_node)} as a key", "text as a key")
            elif name_node.tag == TAG + "merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    merged = (self._pairs(part, key, depth=depth + 1) or {}) | merged
            elif name_node.value in pairs:
                first = line_of(pairs[name_node.value][0])
                path = f"{key}.{name_node.value}" if key else name_node.value
                self._note(name_node, path, f"the key a second time (first on line {first})", "each key once")
            else:
                pairs[name_node.value] = (name_node, value_node)
        return merged | pairs

    def _scalar(self, node: yaml.Node, wanted: mi.Type, key: str, unit: str | None) -> Any:  # noqa: ANN401
        yaml_kind = node.tag.removeprefix(TAG)
        if not isinstance(node, yaml.ScalarNode) or yaml_kind not in _KINDS:
            self._note(node, key, kind(node), describe(wanted))
            return NOTHING
        secret = isinstance(wanted, mi.CustomType) and wanted.cls is Secret
        if secret:
            return self._secret(node, key)
        scalar = self._resolved(node, key, as_text=isinstance(wanted, mi.StrType))
        if scalar is None:
            return NOTHING
        try:
            match wanted:
                case mi.StrType():
                    return scalars.to_text(scalar, wanted)
                case mi.BoolType():
                    return scalars.to_bool(scalar)
                case mi.IntType() | mi.FloatType():
                    return scalars.to_number(scalar, wanted, unit)
                case mi.LiteralType():
                    return scalars.to_choice(scalar, wanted.values)
                case _:
                    raise TypeError(f"the model uses a type the loader does not know: {wanted}")
        except NotAllowedError as error:
            self._note(node, key, quoted(node), str(error))
            return NOTHING

    def _secret(self, node: yaml.ScalarNode, key: str) -> Secret | Nothing:
        if node.tag != TAG + "str":
            self._note(node, key, kind(node), "text (put it in quotes)")
            return NOTHING
        secret = Secret(node.value)
        self.secrets.append((key, secret))
        return secret

    def _anything(self, node: yaml.Node, key: str) -> Any:  # noqa: ANN401
        if isinstance(node, yaml.MappingNode):
            return self._dict(node, mi.DictType(mi.StrType(), mi.AnyType()), key)
        if isinstance(node, yaml.SequenceNode):
            return self._list(node, mi.ListType(mi.AnyType()), key)
        yaml_kind = node.tag.removeprefix(TAG)
        if not isinstance(node, yaml.ScalarNode) or yaml_kind not in _KINDS:
            self._note(node, key, kind(node), "text, a number, true, false, null, a list or a mapping")
            return NOTHING
        scalar = self._resolved(node, key, as_text=False)
        if scalar is None:
            return NOTHING
        try:
            return scalars.to_anything(scalar)
        except NotAllowedError as error:
            self._note(node, key, quoted(node), str(error))
            return NOTHING

    def _resolved(self, node: yaml.ScalarNode, key: str, *, as_text: bool) -> Scalar | None:
        """Return the scalar with its references replaced; None when one cannot be."""
        if not has_references(node.value):
            return Scalar(text=node.value, kind=node.tag.removeprefix(TAG))
        try:
            text = resolve(node.value)
        except SecretError as error:
            self._note(node, key, str(error), "a reference that can be resolved, or a default after :-")
            return None
        tag = TAG + "str" if as_text else _IMPLICIT.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return Scalar(text=text, kind=tag.removeprefix(TAG))


# Short or generic names that other words come close to by chance.
_META_KEYS = frozenset({"id"})
