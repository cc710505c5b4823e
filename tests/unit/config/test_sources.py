"""The kinds of sources in a configuration: chosen by ``type``, each with its own keys, mistakes with their line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config.model import FileSourceConfig, HttpSourceConfig, StdinSourceConfig
from agent.validate import load_checked

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.load import Loaded

REST = """
destinations:
  - {name: d, destination_type: file, location: "file:///tmp/x.jsonl"}
"""


def load(folder: Path, *sources: str) -> Loaded:
    path = folder / "config.yaml"
    path.write_text("sources:\n" + "".join(f"  - {source}\n" for source in sources) + REST)
    return load_checked(str(path))


def problems(folder: Path, *sources: str) -> list[tuple[int, str]]:
    return [(p.line, p.key) for p in load(folder, *sources).problems]


def test_the_type_decides_and_left_out_it_is_a_file(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "{name: a, include: [/a]}",
        "{name: b, type: file, include: [/b]}",
        "{name: c, type: http, listen: 'unix:/run/c.sock', spool: {max_bytes: 1MiB}}",
        "{type: stdin, name: d, format: text}",
    )
    assert not loaded.problems
    assert loaded.config is not None
    kinds = [type(source) for source in loaded.config.sources]
    assert kinds == [FileSourceConfig, FileSourceConfig, HttpSourceConfig, StdinSourceConfig]
    http = loaded.config.sources[2]
    assert isinstance(http, HttpSourceConfig)
    assert http.spool.max_bytes == 1 << 20


def test_the_type_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_TYPE", "stdin")
    loaded = load(tmp_path, "{name: a, type: '${env:SOURCE_TYPE}'}")
    assert not loaded.problems
    assert loaded.config is not None
    assert isinstance(loaded.config.sources[0], StdinSourceConfig)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("{name: a, type: htpt, listen: 'x:1'}", "sources[0].type"),
        ("{name: a, type: [http]}", "sources[0].type"),
        ("{name: a, type: http}", "sources[0].listen"),
        ("{name: a, type: http, listen: 9000}", "sources[0].listen"),
        ("{name: a, type: http, listen: '127.0.0.1:1', include: [/a]}", "sources[0].include"),
        ("{name: a, type: http, listen: '127.0.0.1:1', format: jsn}", "sources[0].format"),
        ("{name: a, type: http, listen: '127.0.0.1:1', spool: {max_bytes: 1}}", "sources[0].spool.max_bytes"),
        ("{name: a, type: http, listen: '127.0.0.1:1', tls: {cert_file: /c}}", "sources[0].tls.key_file"),
        ("{name: a, type: stdin, listen: '127.0.0.1:1'}", "sources[0].listen"),
        ("{name: a, typ: stdin}", "sources[0].typ"),
        ("just text", "sources[0]"),
    ],
)
def test_a_mistake_is_named_by_its_key_and_line(tmp_path: Path, source: str, key: str) -> None:
    assert (2, key) in problems(tmp_path, source)


@pytest.mark.parametrize("listen", ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000", "logs.example.net:9000"])
def test_an_address_others_can_reach_needs_tls_and_a_token(tmp_path: Path, listen: str) -> None:
    start = f"{{name: a, type: http, listen: '{listen}'"
    token, tls = "token: '${file:/t:-x}'", "tls: {cert_file: /c, key_file: /k}"
    assert problems(tmp_path, start + "}") == [(2, "sources[0].listen")]
    assert problems(tmp_path, f"{start}, {token}}}") == [(2, "sources[0].listen")]
    assert problems(tmp_path, f"{start}, {tls}}}") == [(2, "sources[0].listen")]
    assert problems(tmp_path, f"{start}, {token}, {tls}}}") == []


@pytest.mark.parametrize("listen", ["127.0.0.1:9000", "localhost:9000", "[::1]:9000", "unix:/run/a.sock"])
def test_an_address_of_this_machine_needs_neither(tmp_path: Path, listen: str) -> None:
    assert problems(tmp_path, f"{{name: a, type: http, listen: '{listen}'}}") == []


def test_there_is_one_standard_input(tmp_path: Path) -> None:
    assert problems(tmp_path, "{name: a, type: stdin}", "{name: b, type: stdin}") == [(3, "sources[1].type")]


def test_a_name_is_given_once_whatever_the_types(tmp_path: Path) -> None:
    assert problems(tmp_path, "{name: a, type: stdin}", "{name: a, include: [/a]}") == [(3, "sources[1].name")]
