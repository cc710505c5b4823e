"""A secret is looked up when it is used and never shown."""

import contextlib
import copy
import os
import pickle
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.secrets import Secret, resolve
from agent.errors import SecretError


def test_a_literal_is_its_own_value_and_shown_masked() -> None:
    secret = Secret("hunter2")
    assert secret.reveal() == "hunter2"
    assert secret.is_literal
    assert str(secret) == "***"
    assert repr(secret) == "Secret('***')"


def test_a_variable_is_looked_up_at_each_use(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret("Bearer ${env:AGENT_TEST_TOKEN}")
    monkeypatch.setenv("AGENT_TEST_TOKEN", "one")
    assert secret.reveal() == "Bearer one"
    monkeypatch.setenv("AGENT_TEST_TOKEN", "two")
    assert secret.reveal() == "Bearer two"
    assert str(secret) == "***${env:AGENT_TEST_TOKEN}"


def test_a_file_is_read_again_after_it_changed_and_its_last_newline_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "token"
    secret = Secret(f"${{file:{path}}}")
    path.write_text("one\n")
    assert secret.reveal() == "one"
    path.write_text("two")
    assert secret.reveal() == "two"
    assert not secret.is_literal


def test_a_credential_stands_in_the_directory_of_the_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soc").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret("${credential:soc}").reveal() == "s3cret"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(SecretError, match="CREDENTIALS_DIRECTORY is not set"):
        Secret("${credential:soc}").reveal()


def test_several_references_stand_in_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").write_text("B")
    monkeypatch.setenv("AGENT_TEST_A", "A")
    assert resolve(f"<${{env:AGENT_TEST_A}}-${{file:{tmp_path}/b}}-${{env:AGENT_TEST_NONE:-c:-d}}>") == "<A-B-c:-d>"


def test_a_default_is_taken_for_what_is_missing_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TEST_EMPTY", "")
    (tmp_path / "empty").write_text("\n")
    for reference in (
        "env:AGENT_TEST_EMPTY",
        "env:AGENT_TEST_NONE",
        f"file:{tmp_path}/none",
        f"file:{tmp_path}/empty",
    ):
        assert resolve(f"${{{reference}:-x}}") == "x"
        assert resolve(f"${{{reference}:-}}") == ""
        with pytest.raises(SecretError, match=r"not set|no such file|is empty"):
            resolve(f"${{{reference}}}")


def test_a_file_that_is_there_but_cannot_be_read_does_not_fall_back_to_the_default(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (
        ("binary", "not UTF-8"),
        ("huge", "larger than"),
        ("fifo", "not a regular"),
        (".", "not a reg"),
    ):
        with pytest.raises(SecretError, match=reason):
            resolve(f"${{file:{tmp_path}/{name}:-x}}")


@pytest.mark.parametrize(
    "text",
    ["${HOME}", "${vault:x}", "${env:}", "${env:A-B}", "a${b", "${file:relative}", "${credential:../x}"],
)
def test_what_looks_like_a_reference_and_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    with pytest.raises(SecretError):
        resolve(text)


def test_two_dollars_are_a_plain_brace() -> None:
    assert resolve("a$${b}$") == "a${b}$"
    assert Secret("$${x}").is_literal


def test_defaults_and_text_around_references_are_masked() -> None:
    text = str(Secret("user:hunter2@${env:HOST_X:-hunter3}/${vault:hunter4}"))
    assert text == "***${env:HOST_X:-***}******"
    assert "hunter" not in text


def test_no_way_of_showing_a_secret_shows_it() -> None:
    secret = Secret("hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r}",
        str([secret]),
        str({"a": secret}),
    ]
    assert not [text for text in shown if "hunter2" in text]
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert copy.deepcopy(Secret("a")) == copy.copy(Secret("a"))


@given(st.text(alphabet="${}:-env fileABC/.", max_size=60))
def test_any_text_resolves_or_raises_a_secret_error(text: str) -> None:
    secret = Secret(text)
    assert isinstance(repr(secret), str)
    with contextlib.suppress(SecretError):
        assert isinstance(secret.reveal(), str)
