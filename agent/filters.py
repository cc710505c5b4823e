"""Which events a destination gets (WIRE 2.1, 2.2). Pure; every decision carries the rule that made it.

All properties but the subsystem are the agent's, so a decision is made once per subsystem, not once per event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.model import DestinationConfig, Filter
    from agent.events import Block

LEVELS: dict[str, frozenset[str] | None] = {
    "none": frozenset(),
    "low": frozenset({"authentication"}),
    "medium": frozenset({"authentication", "api"}),
    "high": None,
}
"""Event level → the subsystems that pass, None for all. ``custom`` leaves it to the filters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIdentity:
    """The properties of the agent that filters look at."""

    id: str
    type: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an event is sent, and by which rule."""

    sent: bool
    rule: str


class EventFilter:
    """The filters and the event level of one destination, for one agent. What it does not understand, it blocks."""

    def __init__(self, config: DestinationConfig, identity: AgentIdentity) -> None:
        """Compile; ``problems`` names what is misconfigured."""
        self.problems = tuple(
            f"{key}: found {found}; allowed: {allowed}; nothing passes it"
            for key, found, allowed in misconfigured(config)
        )
        self._level = config.event_level_filter
        self._filters = config.filters
        self._identity = identity
        self._decisions: dict[str, Decision] = {}

    def decide(self, log_type: str) -> Decision:
        """Decide for events of the subsystem ``log_type``."""
        decision = self._decisions.get(log_type)
        if decision is None:
            decision = self._decide(log_type)
            if len(self._decisions) < 1000:  # subsystems come from log lines: a bound on what they may cost
                self._decisions[log_type] = decision
        return decision

    def _decide(self, log_type: str) -> Decision:
        level = self._level
        by_level = level is not None and level != "custom"
        if level is not None and by_level:
            allowed = LEVELS.get(level, frozenset())
            if allowed is not None and log_type not in allowed:
                return Decision(sent=False, rule=f"event_level_filter {level} blocks {log_type}")
        for position, each in enumerate(self._filters):
            if by_level and each.filter_type == "subsystem":
                continue
            if not self._passes(each, log_type):
                return Decision(sent=False, rule=f"filters[{position}] {each.filter_type} does not match")
        return Decision(sent=True, rule=f"event_level_filter {level}" if by_level else "all filters match")

    def _passes(self, each: Filter, log_type: str) -> bool:
        if each.filter_type == "phase":
            return True  # reserved, without meaning today
        wanted = [*([each.value] if each.value is not None else []), *(each.or_list or [])]
        if each.filter_type not in _MATCHERS:
            return False
        return not wanted or any(_MATCHERS[each.filter_type](self._identity, log_type, value) for value in wanted)

    def apply(self, block: Block) -> Block:
        """Return the block with only the events that are sent; the same object when all are."""
        kinds = block.log_types
        if isinstance(kinds, str):
            return block if self.decide(kinds).sent else block.keep(())
        blocked = {kind for kind in set(kinds) if not self.decide(kind).sent}
        if not blocked:
            return block
        return block.keep([i for i, kind in enumerate(kinds) if kind not in blocked])


def _same_type(identity: AgentIdentity, _log_type: str, value: str) -> bool:
    # Events say agent-connector, filters agent_connector; "connector" means any connector kind.
    mine, theirs = identity.type.replace("-", "_"), value.replace("-", "_")
    return mine == theirs or (theirs == "connector" and mine.endswith("connector"))


_MATCHERS: dict[str, Callable[[AgentIdentity, str, str], bool]] = {
    "subsystem": lambda _identity, log_type, value: value == log_type,
    "audit_agent_type": _same_type,
    "audit_agent_id": lambda identity, _log_type, value: value == identity.id,
    "hostname": lambda identity, _log_type, value: value.casefold() == identity.hostname.casefold(),
}

FILTER_TYPES = ("phase", *_MATCHERS)


def misconfigured(config: DestinationConfig) -> list[tuple[str, str, str]]:
    """Return (key, what was found, what is allowed) for each filter or level that blocks everything by mistake."""
    found = [
        (f"filters[{i}].filter_type", repr(each.filter_type), ", ".join(FILTER_TYPES))
        for i, each in enumerate(config.filters)
        if each.filter_type not in FILTER_TYPES
    ]
    level = config.event_level_filter
    if level is not None and level != "custom" and level not in LEVELS:
        found.append(("event_level_filter", repr(level), ", ".join([*LEVELS, "custom"])))
    return found
