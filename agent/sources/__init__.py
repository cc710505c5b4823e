"""Sources: where events come from, and how they become streams that lanes read.

One file per source type; a new type is one file, its configuration in the model, and one line in ``TYPES``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sources.files import Files
from agent.sources.push import Http
from agent.sources.stdin import Stdin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config.model import SourceConfig
    from agent.sources.base import Build, Source, Surroundings

TYPES: Mapping[str, Build] = {
    "file": Files,
    "http": Http,
    "stdin": Stdin,
}


def build(config: SourceConfig, around: Surroundings) -> Source:
    """Return the source that ``config`` describes; no I/O."""
    source: Source = TYPES[str(config.__struct_config__.tag)](config, around)
    return source
