"""The example, the documents and the commands agree with the code."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec.inspect as mi
import pytest
import yaml

from agent.auth import SCHEMES
from agent.cli import COMMANDS
from agent.config.load import load_with_warnings
from agent.config.model import Config
from agent.config.secrets import Secret
from agent.config.units import parse_bytes, parse_seconds
from agent.destinations import TYPES
from agent.parsers import PARSERS
from agent.validate import load_checked

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
# Members of the API for types that this version cannot deliver to: shown once they work.
_UNUSABLE_MEMBERS = {"oauth2": "oauth2" not in SCHEMES, "google_secops_settings": "google_secops" not in TYPES}


def options(wanted: mi.Type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], mi.Field]]:
    """Yield every option of the model with its path; lists add nothing to it."""
    match wanted:
        case mi.StructType():
            for field in wanted.fields:
                here = (*path, field.encode_name)
                yield here, field
                yield from options(field.type, here)
        case mi.ListType():
            yield from options(wanted.item_type, path)
        case mi.UnionType():
            for one in wanted.types:
                yield from options(one, path)
        case mi.Metadata():
            yield from options(wanted.type, path)


OPTIONS = [(p, f) for p, f in options(mi.type_info(Config)) if not any(_UNUSABLE_MEMBERS.get(part) for part in p)]


def once(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``path`` with what the control plane has like a destination as the destination's: it is shown once."""
    shared = {("control_plane", "authentication"), ("control_plane", "delivery")}
    return ("destinations", *path[1:]) if path[:2] in shared else path


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every key of a YAML document with its path; lists add nothing to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key), inner
            yield from paths(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, path)


def uncommented(text: str) -> str:
    """Return the example with every commented option switched on."""
    return re.sub(r"^( *)# ( *[a-z_]+:(?: .*)?)$", r"\1\2", text, flags=re.MULTILINE)


def test_the_example_loads_without_a_problem_or_a_warning() -> None:
    loaded = load_checked(str(EXAMPLE))
    assert not loaded.problems
    assert not loaded.warnings


def test_the_example_shows_every_option() -> None:
    shown = {once(path) for path, _ in paths(yaml.safe_load(uncommented(TEXT)))}
    assert not [".".join(path) for path, _ in OPTIONS if once(path) not in shown]


def test_with_every_commented_option_switched_on_the_example_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(uncommented(TEXT))
    assert not load_with_warnings(str(path)).problems


def test_the_defaults_in_the_comments_of_the_example_are_those_of_the_code() -> None:
    active = {path for path, _ in paths(yaml.safe_load(TEXT))}
    shown = {path: value for path, value in paths(yaml.safe_load(uncommented(TEXT))) if path not in active}
    wrong, compared = [], 0
    for path, field in OPTIONS:
        if path not in shown or isinstance(field.type, mi.StructType):
            continue
        compared += 1
        unit = (field.type.extra or {}).get("unit") if isinstance(field.type, mi.Metadata) else None
        value = shown[path]
        if unit:
            value = (parse_bytes if unit == "bytes" else parse_seconds)(str(value))
        default = field.default if field.default is not mi.NODEFAULT else field.default_factory()
        if value != default:
            wrong.append(f"{'.'.join(path)}: shown {value!r}, in the code {default!r}")
    assert not wrong
    assert compared > 30


@pytest.mark.parametrize("name", [*TYPES, *SCHEMES, *PARSERS])
def test_the_example_names_every_registered_type(name: str) -> None:
    assert re.search(rf"\b{re.escape(name)}\b", TEXT)


def test_the_example_holds_no_secret() -> None:
    secrets = [secret for _, secret in load_with_warnings(str(EXAMPLE)).secrets]
    assert secrets
    # Extra headers are secret only when they carry a credential.
    assert all(not secret.is_literal or secret == Secret("demo") for secret in secrets)


def documents() -> list[Path]:
    return [p for p in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if p.is_file()]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_every_relative_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [t.partition("#")[0] for t in targets if not re.match(r"[a-z]+:|#", t)]
    assert not [target for target in relative if not (document.parent / target).exists()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli", command, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: audit-agent {command}")
    assert done.stderr == ""


def test_every_known_failure_has_a_test_that_bears_its_number() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs/failures.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert rows == [str(number) for number in range(1, 32)]
    assert [row for row in rows if not re.search(rf"def test_pain_{row}_", tests)] == []
