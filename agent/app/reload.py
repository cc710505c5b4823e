"""A new configuration in a running agent: what is unchanged goes on, what changed starts anew at its cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.app.inputs import Inputs
    from agent.app.outputs import Outputs
    from agent.config.model import Config


async def reload(
    inputs: Inputs, outputs: Outputs, *, old: Config, new: Config, between: Callable[[], Awaitable[bool]]
) -> None:
    """Replace what differs between ``old`` and ``new``.

    ``between`` is called when what ends has ended; nothing begins before it returns, and nothing at all unless it
    returns True.
    """
    everything = _host(old) != _host(new)  # it stands in every event, and filters ask for it
    await _replace_sources(inputs, outputs, old, new, everything=everything)
    before, after = {d.name: d for d in old.destinations}, {d.name: d for d in new.destinations}
    async with anyio.create_task_group() as ending:
        for name, destination in before.items():
            if everything or after.get(name) != destination:
                ending.start_soon(outputs.remove, name)
    outputs.drop_figures(before.keys() - after.keys())
    if await between():
        for name, destination in after.items():
            if everything or before.get(name) != destination:
                outputs.add(destination)
                outputs.begin(name)


async def _replace_sources(inputs: Inputs, outputs: Outputs, old: Config, new: Config, *, everything: bool) -> None:
    before, after = {s.name: s for s in old.sources}, {s.name: s for s in new.sources}
    for name, source in before.items():
        if everything or after.get(name) != source:
            outputs.detach(inputs.files[name])
            await inputs.end(name)
    for name, source in after.items():
        if everything or before.get(name) != source:
            inputs.add(source)
            outputs.attach(inputs.files[name])
            await inputs.scan(name)
            outputs.begin_all()


def _host(config: Config) -> tuple[object, ...]:
    own = config.agent
    return own.hostname, own.org_id, own.type, own.source_type
