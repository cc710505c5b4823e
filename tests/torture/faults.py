"""What is done to the agent, its receivers, the network and the disk; which, when and for how long follows the seed."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.torture.proxy import WAYS
from tests.torture.receiver import ODD
from tests.torture.scene import NETWORKED
from tests.torture.settings import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.torture.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to do harm. ``begin`` does it, ``mend`` undoes it after some of ``seconds``."""

    name: str
    begin: Callable[[random.Random], None]
    mend: Callable[[], None] | None = None
    seconds: tuple[float, float] = (0.3, 4.0)
    weight: int = 1
    destination: str | None = None
    """Whose duplicates it explains; None: everybody's."""
    explains: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A fault of the plan, ``at`` seconds after the beginning, mended ``seconds`` later."""

    at: float
    fault: Fault
    seconds: float
    chance: random.Random


STORM_SECONDS = 30.0
CALM_SECONDS = 12.0
"""After each storm: nothing is done but writing and rotating, so that duplicates without a cause are seen."""


def plan(faults: list[Fault], seed: int, seconds: float) -> Iterator[Step]:
    """Return the steps for ``seconds``: the same for the same seed and faults, whatever the host's speed."""
    chance = random.Random(f"{seed} faults")
    at = 2.0
    while at < seconds:
        fault = chance.choices(faults, [f.weight for f in faults])[0]
        lasts = chance.uniform(*fault.seconds) if fault.mend else 0.0
        into = at % (STORM_SECONDS + CALM_SECONDS)
        if into < STORM_SECONDS:
            lasts = min(lasts, STORM_SECONDS - into)
            yield Step(at=at, fault=fault, seconds=lasts, chance=random.Random(chance.random()))
        at += chance.uniform(0.2, 1.8)


def all_faults(scene: Scene) -> list[Fault]:
    """Return every fault that can be done here."""
    return [*_agent(scene), *_receivers(scene), *_network(scene), *_disk(scene), *_files(scene)]


def _agent(scene: Scene) -> list[Fault]:
    agent = scene.agent

    def reload(chance: random.Random) -> None:
        name = chance.choice(list(VARIANTS))
        scene.configure(**VARIANTS[name](chance, scene.settings))
        scene.journal.note(f"configuration: {name}: {scene.settings}")
        agent.reload()

    def misconfigure(_chance: random.Random) -> None:
        if agent.frozen or not agent.ready():
            return
        good = scene.config.read_text()
        scene.config.write_text(good + "\ndestinationz: []\n")
        refused = agent.said().count("config_refused")
        agent.reload()
        end = time.monotonic() + 20
        while agent.running() and agent.said().count("config_refused") == refused:
            if time.monotonic() > end:
                scene.journal.finding("a broken configuration was not refused within 20 s")
                break
            time.sleep(0.02)
        scene.config.write_text(good)

    def patterns(*folders: str) -> None:
        scene.configure(of=list(folders))
        agent.reload()

    return [
        Fault(name="kill", begin=lambda _: agent.kill(stay_down=False), weight=5),
        Fault(name="kill-stay-down", begin=lambda _: agent.kill(stay_down=True), mend=agent.start, weight=3),
        Fault(name="stop", begin=lambda _: agent.end(), weight=3),
        Fault(
            name="freeze",
            begin=lambda _: agent.freeze(True),
            mend=lambda: agent.freeze(False),
        ),
        Fault(name="reload", begin=reload, weight=4),
        Fault(
            name="pattern-away",
            begin=lambda _: patterns("d0", "d1"),
            mend=lambda: patterns("d0", "d1", "d2"),
            seconds=(1.0, 6.0),
            weight=2,
        ),
        Fault(name="reload-broken", begin=misconfigure, explains=False),
    ]


def _receivers(scene: Scene) -> Iterator[Fault]:
    for name in NETWORKED:
        receiver = scene.receivers[name]
        yield Fault(
            name=f"{name}-kill",
            begin=lambda _, receiver=receiver: receiver.kill(),  # type: ignore[misc]
            mend=receiver.start,
            weight=2,
            destination=name,
        )
        for mode in ODD:
            yield Fault(
                name=f"{name}-answers-{mode}",
                begin=lambda _, receiver=receiver, mode=mode: receiver.answer(mode),  # type: ignore[misc]
                mend=lambda receiver=receiver: receiver.answer(""),  # type: ignore[misc]
                destination=name,
            )


def _network(scene: Scene) -> Iterator[Fault]:
    for name in NETWORKED:
        proxy = scene.proxies[name]
        for way in WAYS:
            yield Fault(
                name=f"{name}-net-{way}",
                begin=lambda _, proxy=proxy, way=way: proxy.fail(way),  # type: ignore[misc]
                mend=lambda proxy=proxy: proxy.fail(""),  # type: ignore[misc]
                destination=name,
            )


def _disk(scene: Scene) -> list[Fault]:
    def fill(_chance: random.Random) -> None:
        scene.agent.may_fail = True
        scene.disk.fill()

    if not scene.disk.mounted:
        return []
    return [Fault(name="disk-full", begin=fill, mend=scene.disk.empty, seconds=(1.0, 6.0), weight=4)]


def _files(scene: Scene) -> list[Fault]:
    def delivered(writer: str, first: int, end: int) -> bool:
        return all(seen.has((writer, n)) for seen in scene.seen for n in range(first, end))

    def delete(chance: random.Random) -> None:
        scene.look()
        keep = chance.randrange(4)
        for log in scene.logs:
            for what in log.delete(delivered, keep):
                scene.journal.note(f"deleted {what}")
                scene.journal.count("members deleted")

    return [Fault(name="delete", begin=delete, weight=4, explains=False)]
