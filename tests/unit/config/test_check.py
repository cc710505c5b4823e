"""``audit-agent check`` says all that is wrong, exits by it, and changes nothing."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MISTAKES = ROOT / "tests" / "data" / "config" / "five-mistakes.yaml"


def check(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.cli", "check", *arguments]
    env = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


def write(path: Path, destinations: str, *, include: str = "/nowhere/*.log", more: str = "") -> str:
    text = f"sources: [{{name: a, include: ['{include}']{more}}}]\ndestinations:\n{destinations}"
    path.write_text(f"{text}agent: {{state_dir: {path.parent}/state}}\n")
    return str(path)


def test_five_mistakes_give_five_messages_and_exit_code_2_and_nothing_is_touched(tmp_path: Path) -> None:
    done = check("-c", str(MISTAKES), cwd=tmp_path)
    assert done.returncode == 2
    messages = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    assert [line.split(": ")[0].removeprefix(f"{MISTAKES}:") for line in messages] == ["3", "7", "8", "10", "13"]
    assert all(": found " in line and "; allowed: " in line for line in messages)
    assert list(tmp_path.iterdir()) == []


def test_what_only_the_registries_know_is_found_in_the_same_pass(tmp_path: Path) -> None:
    destinations = (
        "- {name: b, destination_type: webhok, location: x}\n"
        "- {name: c, destination_type: webhook, location: 'ftp://x'}\n"
        "- {name: d, destination_type: file, location: /d, filters: [{filter_type: colour}], event_level_filter: all}\n"
        "- {name: e, destination_type: webhook, location: 'https://x', authentication: {authentication_type: basic}}\n"
        "- {name: f, destination_type: webhook, location: 'https://x', delivery: {headers: {X: '${file:/no/x}'}}}\n"
    )
    path = write(tmp_path / "c.yaml", destinations, more=", format: csv")
    done = check("-c", path, "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert [(p["line"], p["key"]) for p in json.loads(done.stdout)["problems"]] == [
        (1, "sources[0].format"),
        (3, "destinations[0].destination_type"),
        (4, "destinations[1].location"),
        (5, "destinations[2].event_level_filter"),
        (5, "destinations[2].filters[0].filter_type"),
        (6, "destinations[3].authentication.authentication_type"),
        (7, "destinations[4].delivery.headers.X"),
    ]


def test_two_destinations_in_one_file_are_a_mistake_however_it_is_written(tmp_path: Path) -> None:
    destinations = (
        "- {name: a, destination_type: file, location: file:///var/log/x/../audits.log}\n"
        "- {name: b, destination_type: file, location: /var/log/audits.log}\n"
    )
    done = check("-c", write(tmp_path / "c.yaml", destinations), cwd=tmp_path)
    assert done.returncode == 2
    assert "destinations[1].location: found '/var/log/audits.log', the file of a" in done.stderr


def test_a_good_file_passes_and_says_what_its_sources_match(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "b.txt"):
        (tmp_path / name).touch()
    path = write(
        tmp_path / "c.yaml", "- {name: b, destination_type: file, location: /b}\n", include=f"{tmp_path}/*.log"
    )
    done = check("-c", path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "source a: 2 file(s)" in done.stdout
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("text", [None, "", "a: [", "\0"])
def test_a_file_that_is_no_configuration_exits_2(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    done = check("-c", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:")
    assert "Traceback" not in done.stderr


def test_connect_tells_which_destination_cannot_be_reached_and_creates_no_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as open_port, socket.create_server(("127.0.0.1", 0)) as soon_closed:
        closed = soon_closed.getsockname()[1]
        soon_closed.close()
        destinations = (
            f"- {{name: up, destination_type: webhook, location: 'http://127.0.0.1:{open_port.getsockname()[1]}/'}}\n"
            f"- {{name: down, destination_type: webhook, location: 'http://127.0.0.1:{closed}/'}}\n"
            f"- {{name: unused, enabled: no, destination_type: webhook, location: 'http://127.0.0.1:{closed}/'}}\n"
            f"- {{name: file, destination_type: file, location: '{tmp_path}/new/audits.log'}}\n"
            f"- {{name: blocked, destination_type: file, location: '{tmp_path}/c.yaml/audits.log'}}\n"
        )
        done = check("-c", write(tmp_path / "c.yaml", destinations), "--connect", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    errors = {d["name"]: d["error"] for d in json.loads(done.stdout)["destinations"]}
    assert [name for name, error in errors.items() if error is None] == ["up", "file"]
    assert "refused" in errors["down"].lower()
    assert "not a directory" in errors["blocked"]
    assert "unused" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


PORTS = (
    ("location: 'https://soc.example.net:99999/hook'", "destinations[0].location", "port 99999"),
    ("location: 'http://soc.example.net:0'", "destinations[0].location", "port 0"),
    ("location: 'http://x', delivery: {proxy: 'http://p:65536'}", "destinations[0].delivery.proxy", "port 65536"),
)


@pytest.mark.parametrize(("member", "key", "found"), PORTS, ids=["location", "zero", "proxy"])
def test_a_port_that_cannot_be_is_named_with_line_and_range(member: str, key: str, found: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", f"- {{name: b, destination_type: webhook, {member}}}\n")
    done = check("-c", path, cwd=tmp_path)
    assert done.returncode == 2
    assert f"{path}:3: {key}: found {found}; allowed: " in done.stderr
    assert "65535" in done.stderr


def _pushed(folder: Path, *listen: str) -> str:
    sources = "".join(f"- {{name: h{n}, type: http, listen: '{each}'}}\n" for n, each in enumerate(listen))
    path = folder / "c.yaml"
    path.write_text(
        f"sources:\n{sources}- {{name: piped, type: stdin}}\n"
        f"destinations: [{{name: b, destination_type: file, location: {folder}/out.log}}]\n"
        f"agent: {{state_dir: {folder}/state}}\n"
    )
    return str(path)


def test_pushed_sources_are_named_with_their_address(tmp_path: Path) -> None:
    done = check("-c", _pushed(tmp_path, "127.0.0.1:8088"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "source h0: listens on 127.0.0.1:8088\n" in done.stdout
    assert "source piped: reads standard input\n" in done.stdout


def test_connect_tells_which_address_is_free_which_in_use_and_which_impossible(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        socket.create_server(("127.0.0.1", 0)) as freed,
        socket.socket(socket.AF_UNIX) as listening,
        socket.socket(socket.AF_UNIX) as stale,
    ):
        free = freed.getsockname()[1]
        freed.close()
        listening.bind(f"{tmp_path}/a.sock")
        listening.listen()
        stale.bind(f"{tmp_path}/b.sock")
        stale.close()
        addresses = [
            f"127.0.0.1:{taken.getsockname()[1]}",
            f"127.0.0.1:{free}",
            f"unix:{tmp_path}/a.sock",
            f"unix:{tmp_path}/b.sock",
            f"unix:{tmp_path}/new.sock",
        ]
        before = sorted(p.name for p in tmp_path.iterdir())
        fine = check("-c", _pushed(tmp_path, *addresses), "--connect", "--json", cwd=tmp_path)
        assert fine.returncode == 0, fine.stderr
        found = [each.get("state") for each in json.loads(fine.stdout)["sources"]]
        assert found == ["in use", "free", "in use", "free", "free", None]
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*before, "c.yaml"])
        nowhere = f"unix:{tmp_path}/missing/x.sock"
        done = check("-c", _pushed(tmp_path, nowhere, f"unix:{tmp_path}/c.yaml"), "--connect", cwd=tmp_path)
    assert done.returncode == 1
    assert f"source h0: listens on {nowhere}, NOT possible: {tmp_path}/missing is no folder" in done.stdout
    assert "c.yaml is no socket" in done.stdout
