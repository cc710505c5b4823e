"""A YAML file → a tree of nodes that know their lines; nothing is constructed, so no tag can do anything.

Every way in which the file itself can be wrong ends as a ``ConfigError`` with a line.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from agent.errors import ConfigError, Problem

if TYPE_CHECKING:
    from typing import NoReturn

MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 40
"""Of nested lists and mappings; the deepest option of the configuration stands at 6."""


def read_tree(path: str) -> yaml.Node:
    """Return the root node of the YAML document in ``path``. Raises ``ConfigError``."""
    text = _read_text(path)
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(path, mark.line + 1 if mark else 1, error.problem or "no YAML", "valid YAML")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        _refuse(path, line, f"the character U+{ord(str(error.character)[:1]):04X}", "printable text")
    except (yaml.YAMLError, ValueError, IndexError) as error:
        # The last two escape PyYAML itself on a few malformed escapes.
        _refuse(path, 1, f"no YAML ({type(error).__name__})", "valid YAML")
    if root is None or (root.tag == "tag:yaml.org,2002:null" and root.value == ""):
        _refuse(path, 1, "an empty file", "a mapping with sources and destinations")
    return root


def line_of(node: yaml.Node) -> int:
    """Return the line on which ``node`` starts, counted from 1."""
    return int(node.start_mark.line) + 1


class _Loader(yaml.SafeLoader):
    """Composes nodes to a bounded depth: the composer calls itself once a level and would end the program."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Compose one node, one level deeper."""
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_DEPTH} levels of nesting", mark)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[arg-type]
        self.depth -= 1
        return node


def _read_text(path: str) -> str:
    try:
        # A pipe is a fine configuration (<(...) of a shell); a directory or a socket is none.
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        _refuse(path, 0, f"{error.strerror or error}", "a readable YAML file")
    except ValueError as error:
        _refuse(path, 0, f"{error}", "the path of a readable YAML file")
    if len(content) > MAX_FILE_BYTES:
        _refuse(path, 1, f"more than {MAX_FILE_BYTES} bytes", f"at most {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _refuse(path, line, f"the byte 0x{content[error.start]:02x}", "UTF-8 text")


def _refuse(path: str, line: int, found: str, allowed: str) -> NoReturn:
    problem = Problem(file=path, line=line, key="(file)", found=found, allowed=allowed)
    raise ConfigError([problem]) from None
