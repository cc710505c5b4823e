"""Text that YAML's escapes can say and nothing else can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agent.config.load import load
from agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("escape", ["\\0", "\\ud800"])
@pytest.mark.parametrize("member", ["name", "subsystem"])
def test_nul_and_half_a_surrogate_pair_are_no_text(tmp_path: Path, member: str, escape: str) -> None:
    path = tmp_path / "c.yaml"
    names = {"name": "app"} | {member: f"a{escape}"}
    members = ", ".join(f'{key}: "{value}"' for key, value in names.items())
    path.write_text(
        f"sources: [{{{members}, include: [/var/log/x]}}]\n"
        "destinations: [{name: d, destination_type: file, location: /tmp/x}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert [p.key for p in caught.value.problems] == [f"sources[0].{member}"]
