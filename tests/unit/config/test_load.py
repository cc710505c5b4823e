"""A configuration loads, or every mistake in it is named with its line."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.config.load import Loaded, load, load_with_warnings, unresolved_secrets
from agent.config.model import DestinationConfig
from agent.config.secrets import Secret
from agent.errors import ConfigError

DATA = Path(__file__).parents[2] / "data" / "config"
SMALLEST = """\
sources:
  - name: access
    include: [/var/log/app/access*.jsonl]
destinations:
  - name: archive
    destination_type: file
    location: file:///var/log/audit-agent/audits.log
"""


def read(tmp_path: Path, text: str | bytes) -> Loaded:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_with_warnings(str(path))


def problems(tmp_path: Path, text: str | bytes) -> list[tuple[int, str]]:
    """Return line and key of every problem."""
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert all(p.file == str(path) and p.found and p.allowed for p in caught.value.problems)
    return [(p.line, p.key) for p in caught.value.problems]


def assert_loads_or_is_refused(path: Path) -> None:
    try:
        outcome: object = load(str(path))
    except ConfigError as error:
        outcome = error.problems
    assert outcome


def with_destination(lines: str) -> str:
    return SMALLEST + "".join(f"    {line}\n" for line in lines.splitlines())


def test_the_smallest_configuration_needs_one_source_and_one_destination(tmp_path: Path) -> None:
    loaded = read(tmp_path, SMALLEST)
    assert not loaded.problems
    assert not loaded.warnings
    config = load(loaded.file)
    assert [s.name for s in config.sources] == ["access"]
    assert config.destinations == [
        DestinationConfig(name="archive", destination_type="file", location="file:///var/log/audit-agent/audits.log")
    ]
    assert config.agent.state_dir == "/var/lib/audit-agent"


def test_units_are_turned_into_bytes_and_seconds(tmp_path: Path) -> None:
    text = with_destination("delivery: {max_bytes: 2MiB, min_interval: 5ms, timeout: 1m30s, retry: {base: 2, cap: 1h}}")
    delivery = load(read(tmp_path, text).file).destinations[0].delivery
    assert delivery.max_bytes == 2 * 1024 * 1024
    assert (delivery.min_interval, delivery.timeout) == (0.005, 90.0)
    assert (delivery.retry.base, delivery.retry.cap) == (2.0, 3600.0)


def test_an_object_copied_from_the_api_works_as_it_is() -> None:
    loaded = load_with_warnings(str(DATA / "api-object.yaml"))
    assert not loaded.problems
    assert loaded.config is not None
    destination = loaded.config.destinations[0]
    assert (destination.id, destination.name, destination.max_events_per_transaction) == (
        "d-41",
        "soc-webhook",
        200,
    )
    assert destination.filters[0].or_list == ["access", "authorization"]
    assert destination.authentication.http_basic is not None
    assert destination.authentication.http_basic.password == Secret("example")
    assert destination.delivery.timeout == 5
    assert destination.event_level_filter is None


def test_mistakes_in_a_copied_object_name_its_lines(tmp_path: Path) -> None:
    text = (
        SMALLEST
        + "  - spec:\n      name: soc\n      destination_type: webhook\n      enable: true\n"
        + "    metadata: [x]\n"
    )
    assert problems(tmp_path, text) == [
        (8, "destinations[1].location"),
        (11, "destinations[1].enable"),
        (12, "destinations[1].metadata"),
    ]


def test_members_the_api_may_add_later_are_warnings_and_misspelt_ones_are_problems(tmp_path: Path) -> None:
    loaded = read(tmp_path, with_destination("colour: red\nfilter: []"))
    assert [p.key for p in loaded.warnings] == ["destinations[0].colour"]
    assert [p.key for p in loaded.problems] == ["destinations[0].filter"]
    assert "filters" in loaded.problems[0].allowed


def test_a_delivery_setting_at_the_wrong_place_is_told_its_place(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, with_destination("timeout: 30s")).problems
    assert problem.allowed == "delivery.timeout"


def test_five_mistakes_are_five_problems_each_with_its_line() -> None:
    path = str(DATA / "five-mistakes.yaml")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert [(p.line, p.key) for p in caught.value.problems] == [
        (3, "agent.shutdown_grace"),
        (7, "sources[0].include[0]"),
        (8, "sources[0].max_line_bytes"),
        (10, "destinations[0].location"),
        (13, "destinations[0].delivery.max_in_flight"),
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", [(1, "(file)")]),
        ("# nothing\n", [(1, "(file)")]),
        ("- a\n", [(1, "(file)")]),
        ("a: [1\n", [(2, "(file)")]),
        ("a: 1\n\tb: 2\n", [(2, "(file)")]),
        ("a: 1\n---\nb: 2\n", [(2, "(file)")]),
        ("a: *nowhere\n", [(1, "(file)")]),
        (b"a: 1\nb: \xff\n", [(2, "(file)")]),
        (b"\x00\x01", [(1, "(file)")]),
        ("a: \u0007\n".encode(), [(1, "(file)")]),
        ("a: " + "[" * 5000, [(1, "(file)")]),
        ("a: &a [*a]\n" + SMALLEST, [(1, "a")]),
        ("? [a]\n: 1\n" + SMALLEST, [(1, "(file)")]),
        (SMALLEST.replace("sources:\n", "sources: []\nx-sources:\n", 1), [(1, "sources"), (2, "x-sources")]),
        (SMALLEST.replace("destinations:", "destinatons:"), [(1, "destinations"), (4, "destinatons")]),
        (SMALLEST + "agent: {id: a, id: b}\n", [(8, "agent.id")]),
        (SMALLEST + "agent: nobody\n", [(8, "agent")]),
        (SMALLEST + "agent: {id: 7}\n", [(8, "agent.id")]),
        (SMALLEST + "agent: {log_level: loud}\n", [(8, "agent.log_level")]),
        (SMALLEST + "agent: !!python/object:os.system {}\n", [(8, "agent")]),
        (SMALLEST + "agent: {hostname: !secret x}\n", [(8, "agent.hostname")]),
        (SMALLEST + "agent: {hostname: '${env:AGENT_TEST_NONE}'}\n", [(8, "agent.hostname")]),
        (SMALLEST + "admin: {listen: nowhere}\n", [(8, "admin.listen")]),
        (SMALLEST + "admin: {listen: '127.0.0.1:99999'}\n", [(8, "admin.listen")]),
        (SMALLEST + "admin: {stalled_after: -1}\n", [(8, "admin.stalled_after")]),
        (SMALLEST.replace("[/var", "[var"), [(3, "sources[0].include[0]")]),
        (SMALLEST.replace("[/var/log/app/access*.jsonl]", "[]"), [(3, "sources[0].include")]),
        (SMALLEST.replace("name: access", "name: ''"), [(2, "sources[0].name")]),
        (SMALLEST.replace("name: access", f"name: {'x' * 129}"), [(2, "sources[0].name")]),
        (
            with_destination("max_events_per_transaction: 0"),
            [(8, "destinations[0].max_events_per_transaction")],
        ),
        (with_destination("enabled: maybe"), [(8, "destinations[0].enabled")]),
        (with_destination("delivery: {retry: {base: 10m}}"), [(8, "destinations[0].delivery.retry.base")]),
        (with_destination("delivery: {timeout: 0}"), [(8, "destinations[0].delivery.timeout")]),
        (with_destination("filters: [{value: a}]"), [(8, "destinations[0].filters[0].filter_type")]),
        (
            SMALLEST.replace("destinations:", "    timezone: Mars/Phobos\n    exclude: [a/b]\ndestinations:"),
            [(4, "sources[0].timezone"), (5, "sources[0].exclude[0]")],
        ),
        (SMALLEST + SMALLEST[SMALLEST.index("  - name: archive") :], [(8, "destinations[1].name")]),
        (
            SMALLEST.replace("destinations:", "  - {name: access, include: [/a]}\ndestinations:"),
            [(4, "sources[1].name")],
        ),
    ],
)
def test_pain_31_each_mistake_is_named_with_its_line_and_key(
    text: str | bytes, where: list[tuple[int, str]], tmp_path: Path
) -> None:
    assert problems(tmp_path, text) == where


def test_a_file_that_cannot_be_read_is_a_problem_too(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "nul\0"):
        with pytest.raises(ConfigError) as caught:
            load(str(path))
        assert len(caught.value.problems) == 1


def test_a_few_lines_of_aliases_of_aliases_do_not_fill_memory(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    fields = "".join(f"  {line}\n" for line in bomb.splitlines())
    text = SMALLEST.replace("destinations:", f"    fields:\n{fields.replace('  a', '      a')}destinations:")
    assert problems(tmp_path, text) == [(1, "(file)")]


def test_an_alias_inside_what_it_names_does_not_run_for_ever(tmp_path: Path) -> None:
    for loop in ("&a {x: *a}", "&a [*a]", "&a {<<: *a}"):
        text = SMALLEST.replace("destinations:", f"    fields: {{loop: {loop}}}\ndestinations:")
        assert problems(tmp_path, text)


def test_a_block_of_which_only_comments_are_left_is_as_good_as_none(tmp_path: Path) -> None:
    text = SMALLEST.replace("destinations:", "    exclude:\n    fields:\ndestinations:") + "admin:\n  # listen: x\n"
    assert load(read(tmp_path, text).file) == load(read(tmp_path, SMALLEST).file)


def test_anchors_and_merge_keys_share_settings(tmp_path: Path) -> None:
    text = with_destination("delivery: &d {timeout: 5s, gzip: yes}") + (
        "  - name: b\n    destination_type: file\n    location: /b\n    delivery: {<<: *d, timeout: 6s}\n"
    )
    a, b = load(read(tmp_path, text).file).destinations
    assert (a.delivery.timeout, a.delivery.gzip) == (5.0, True)
    assert (b.delivery.timeout, b.delivery.gzip) == (6.0, True)


def test_fields_keep_what_json_knows_and_the_rest_as_text(tmp_path: Path) -> None:
    fields = "{a: 1, b: 1.5, c: true, d: null, e: 2026-01-01, f: 1:30, g: 010, h: [x, {y: z}], i: 'no', j: .inf}"
    text = SMALLEST.replace("destinations:", f"    fields: {fields}\ndestinations:")
    assert load(read(tmp_path, text).file).sources[0].fields == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": "2026-01-01", "f": "1:30", "g": "010",
        "h": ["x", {"y": "z"}], "i": "no", "j": ".inf",
    }  # fmt: skip


def test_references_in_ordinary_values_are_resolved_while_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TEST_HOST", "soc.example.net")
    monkeypatch.setenv("AGENT_TEST_COUNT", "4")
    text = with_destination("delivery: {max_in_flight: '${env:AGENT_TEST_COUNT}', timeout: '${env:NONE_X:-9s}'}")
    text = text.replace("file:///", "https://${env:AGENT_TEST_HOST}/")
    destination = load(read(tmp_path, text).file).destinations[0]
    assert destination.location == "https://soc.example.net/var/log/audit-agent/audits.log"
    assert (destination.delivery.max_in_flight, destination.delivery.timeout) == (4, 9.0)


def test_a_value_from_a_reference_is_not_repeated_in_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TEST_SECRET", "hunter2")
    (problem,) = read(tmp_path, SMALLEST + "agent: {log_level: '${env:AGENT_TEST_SECRET}'}\n").problems
    assert "hunter2" not in str(problem)
    assert "AGENT_TEST_SECRET" in str(problem)


def test_a_secret_at_the_wrong_place_is_not_repeated_in_a_message(tmp_path: Path) -> None:
    auth = "authentication: {authentication_type: http_bearer, http_bearer: %s}"
    for wrong in (
        "hunter2",
        "{token: [hunter2]}",
        "{token: {value: hunter2}}",
        "{tokn: hunter2}",
        "[hunter2]",
    ):
        loaded = read(tmp_path, with_destination(auth % wrong))
        assert loaded.problems
        assert not [p for p in (*loaded.problems, *loaded.warnings) if "hunter2" in str(p)]


def test_secrets_stay_references_until_they_are_used(tmp_path: Path) -> None:
    token = tmp_path / "token"
    auth = "authentication: {authentication_type: http_bearer, http_bearer: {token: '${file:%s}'}}" % token  # noqa: UP031
    loaded = read(tmp_path, with_destination(auth))
    assert not loaded.problems
    (problem,) = unresolved_secrets(loaded)
    assert (problem.line, problem.key) == (8, "destinations[0].authentication.http_bearer.token")
    assert "no such file" in problem.found
    token.write_text("hunter2\n")
    assert not unresolved_secrets(loaded)
    assert "hunter2" not in repr(loaded)


def test_dangerous_settings_are_warned_about(tmp_path: Path) -> None:
    text = with_destination(
        "authentication: {authentication_type: http_bearer, http_bearer: {token: abc}}\n"
        "delivery: {headers: {X-Tenant: a, X-Api-Key: b}}"
    )
    loaded = read(tmp_path, text + "agent: {state_dir: state}\n")
    assert not loaded.problems
    assert sorted(p.key for p in loaded.warnings) == [
        "agent.state_dir",
        "destinations[0].authentication.http_bearer.token",
        "destinations[0].delivery.headers.X-Api-Key",
    ]


def test_loading_touches_nothing_on_disk(tmp_path: Path) -> None:
    state = tmp_path / "state"
    read(tmp_path, SMALLEST + f"agent: {{state_dir: {state}}}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


_WORDS = st.sampled_from(
    [
        *("sources", "destinations", "agent", "admin", "name", "include", "delivery", "retry", "spec", "<<"),
        *("metadata", "id", "authentication", "http_bearer", "token", "filters", "fields", "headers"),
        *("${env:X}", "1MiB", "no", "5 parsecs", ""),
    ]
)
_LEAVES = st.one_of(_WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates())
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(tree=st.dictionaries(_WORDS, _TREES, max_size=5))
def test_no_tree_of_values_crashes_the_loader(tree: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    assert_loads_or_is_refused(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(text=st.binary(max_size=60) | st.text(alphabet="ab:-?[]{}&*!|>'\"%@`#,\n\t \\x0<", max_size=60).map(str.encode))
def test_no_bytes_crash_the_loader(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    assert_loads_or_is_refused(path)
