"""The operations page, the service unit and the container recipe agree with the code."""

from __future__ import annotations

import configparser
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agent.cli import parser
from agent.config.model import AgentConfig
from agent.observe.metrics import PREFIX, RESULTS, STATES, exposition
from agent.stats import AgentStats, ControlPlaneStats, LaneStats, SourceStats
from agent.validate import load_checked

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_LOGGED = re.compile(r"\blog\.(debug|info|warning|error|exception)\(\s*\"(\w+)\"")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under ``heading``, without its two head lines."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section.split("\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip(" `") for cell in line.strip().strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_page_names_every_metric_with_its_labels_and_no_other() -> None:
    stats = AgentStats(
        agent_id="a",
        version="1",
        started_at=time.time(),
        sources={"s": SourceStats(source="s")},
        lanes={"d": LaneStats(destination="d")},
        control_plane=ControlPlaneStats(),
    )
    text, _ = exposition(stats)
    exposed = {
        sample.name: ", ".join(sample.labels)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }
    assert {name: labels for name, labels, _ in rows("Metrics")} == exposed


def test_the_page_names_every_state_and_result_and_the_alarms_use_real_metrics() -> None:
    for word in (*STATES, *RESULTS):
        assert f"`{word}`" in PAGE
    documented = {name for name, *_ in rows("Metrics")}
    assert set(re.findall(rf"\b{PREFIX}\w+", PAGE)) <= documented


def test_the_page_explains_every_warning_and_error_the_agent_logs() -> None:
    files = list((ROOT / "agent").rglob("*.py"))
    logged = {(name, level) for p in files for level, name in _LOGGED.findall(p.read_text(encoding="utf-8"))}
    logged = {(name, "error" if level == "exception" else level) for name, level in logged}
    explained = {(name, level) for name, level, *_ in rows("Log")}
    assert {one for one in logged if one[1] in ("warning", "error")} <= explained
    assert explained <= logged


def test_every_link_inside_the_page_has_its_heading() -> None:
    headings = {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w\-]+)\)", PAGE)) <= headings


def test_the_unit_runs_a_command_that_exists_and_gives_it_its_grace() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "systemd" / "audit-agent.service")
    service = unit["Service"]
    program, *arguments = service["ExecStart"].split()
    assert program.endswith("/audit-agent")
    assert parser().parse_args(arguments).config == "/etc/audit-agent/config.yaml"
    assert float(service["TimeoutStopSec"]) > AgentConfig().shutdown_grace_seconds
    assert AgentConfig().state_dir == f"/var/lib/{service['StateDirectory']}"
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["User"] != "root"


def test_the_sidecar_configuration_is_right_but_for_the_secret_it_gets_in_the_pod() -> None:
    found = load_checked(str(ROOT / "container" / "config.sidecar.yaml"))
    assert all("cannot be resolved" in str(p) or "reference" in str(p) for p in found.problems), found.problems


@pytest.mark.parametrize("which", ["initContainers", "containers"])
def test_the_sidecar_pod_runs_without_privileges_on_a_read_only_file_system(which: str) -> None:
    pod: Any = yaml.safe_load((ROOT / "container" / "sidecar.example.yaml").read_text(encoding="utf-8"))
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in pod["spec"][which]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsUser"] >= 1000
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_image_runs_as_the_user_the_pod_expects() -> None:
    recipe = (ROOT / "container" / "Containerfile").read_text(encoding="utf-8")
    pod: Any = yaml.safe_load((ROOT / "container" / "sidecar.example.yaml").read_text(encoding="utf-8"))
    user = pod["spec"]["initContainers"][0]["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in recipe
    assert "HEALTHCHECK" in recipe
