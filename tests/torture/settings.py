"""Changes of the configuration that a reload has to bear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

Settings = dict[str, Any]


def _transactions(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"sink events": chance.choice((50, 200, 1000))}


def _in_flight(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"second delivery": {"max_in_flight": chance.choice((1, 2, 4)), "gzip": chance.random() < 0.5}}


def _fields(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"app": {"fields": {"round": chance.randrange(100)}}}


def _polling(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"app": {"poll_interval": f"{chance.choice((1, 2))}s", "watch": chance.choice(("auto", "poll"))}}


def _push(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"push": {"fields": {"round": chance.randrange(100)}}}


def _organisation(chance: random.Random, _now: Mapping[str, Any]) -> Settings:
    return {"org_id": f"o-{chance.randrange(3)}"}


VARIANTS: dict[str, Callable[[random.Random, Mapping[str, Any]], Settings]] = {
    "events of a transaction": _transactions,
    "requests in flight": _in_flight,
    "fields of a source": _fields,
    "polling": _polling,
    "fields of posted events": _push,
    "organisation": _organisation,
}
"""What is changed → the settings that change it."""
