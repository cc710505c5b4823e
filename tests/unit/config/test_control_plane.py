"""The section control_plane of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
import yaml

from agent.errors import ConfigError
from agent.validate import load_checked, load_for_run

if TYPE_CHECKING:
    from pathlib import Path

BEARER = {"authentication_type": "agilicus_bearer", "agilicus_bearer": {"token": "${env:API_TOKEN:-t}"}}


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(plane: dict[str, Any], *destinations: dict[str, Any]) -> str:
        path = tmp_path / "config.yaml"
        whole: dict[str, Any] = {"sources": [{"name": "a", "include": ["/var/log/a"]}], "control_plane": plane}
        path.write_text(yaml.safe_dump(whole | ({"destinations": list(destinations)} if destinations else {})))
        return str(path)

    return write


def test_with_an_api_no_destination_of_the_file_is_needed(written: Any) -> None:
    assert load_for_run(written({"url": "https://api.example.net"})).destinations == []


@pytest.mark.parametrize("plane", [{}, {"url": "https://api.example.net", "destinations": False}])
def test_without_one_a_destination_is_needed(written: Any, plane: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="destinations: found an empty list; allowed: at least one"):
        load_for_run(written(plane))


@pytest.mark.parametrize(
    ("plane", "key"),
    [
        ({"url": "api.example.net"}, "control_plane.url"),
        ({"url": "https://u:hunter2@api.example.net"}, "control_plane.url"),
        ({"url": "https://a.example", "authentication": {"authentication_type": "pigeon"}}, "authentication_type"),
        ({"url": "https://a.example", "authentication": {"authentication_type": "http_bearer"}}, "http_bearer"),
        ({"url": "https://a.example", "refresh": "10ms"}, "control_plane.refresh"),
        ({"ulr": "https://a.example"}, "control_plane.ulr"),
    ],
)
def test_a_mistake_is_named_with_its_key(written: Any, plane: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key) as caught:
        load_for_run(written(plane))
    assert "hunter2" not in str(caught.value)


def test_a_destination_of_the_file_signs_with_the_credentials_of_the_control_plane(written: Any) -> None:
    soc = {
        "name": "soc",
        "destination_type": "webhook",
        "location": "https://soc.example.net/hook",
        "authentication": {"authentication_type": "agilicus_bearer"},
    }
    path = written({"authentication": BEARER}, soc)
    assert not load_checked(path).problems
    (made,) = load_for_run(path).destinations
    assert made.authentication.agilicus_bearer is not None
    assert made.authentication.agilicus_bearer.token is not None
    (problem,) = load_checked(written({}, soc)).problems
    assert problem.key == "destinations[0].authentication.agilicus_bearer"


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://api.example.net", True),
        ("http://10.0.0.7:8080/audits", True),
        ("https://api.example.net", False),
        ("http://127.0.0.1:8080", False),
        ("http://localhost:8080", False),
        ("http://[::1]:8080", False),
    ],
)
def test_plain_http_to_another_host_is_warned_of_by_check_and_at_the_start(
    tmp_path: Path, url: str, warned: bool
) -> None:
    path = tmp_path / "config.yaml"
    whole = {"sources": [{"name": "a", "include": ["/var/log/a"]}], "control_plane": {"url": url}}
    path.write_text(yaml.safe_dump(whole | {"report": {"stats_url": url}}))

    warnings = [str(each) for each in load_checked(str(path)).warnings]
    with structlog.testing.capture_logs() as logs:
        load_for_run(str(path))

    keys = [line["key"] for line in logs if line["event"] == "plain_http"]
    assert keys == (["control_plane.url", "report.stats_url"] if warned else [])
    assert [key for key in keys if not any(f"{key}: found plain http to" in each for each in warnings)] == []
    assert any("plain http" in each for each in warnings) == warned
