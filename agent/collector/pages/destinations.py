"""The page of destinations: those that this collector keeps, joined by name with what agents report of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.collector.access.principal import Scope
from agent.collector.pages.agents import ORDER, agent_rows, lane_health, renderer
from agent.collector.pages.kept import MOST, kept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from agent.collector.pages.agents import Row
    from agent.collector.reports import Lane


@dataclass(slots=True, kw_only=True)
class Destination:
    """A destination over all agents that have it."""

    name: str
    type: str = ""
    location: str = ""
    lanes: list[tuple[Row, Lane]] = field(default_factory=list)

    @property
    def healths(self) -> list[tuple[str, int]]:
        """How many agents find it how, the worst first."""
        counts = Counter(lane_health(row, lane) for row, lane in self.lanes)
        return sorted(counts.items(), key=lambda each: ORDER[each[0]])

    @property
    def health(self) -> str:
        """The worst there is at an agent that can be heard."""
        return next((health for health, _agents in self.healths if health != "silent"), "silent")

    def total(self, name: str) -> int:
        """Return the sum of a count over all agents."""
        return sum(int(getattr(lane, name)) for _row, lane in self.lanes)

    @property
    def refused(self) -> int:
        """How many events it refused for good."""
        return sum(sum(lane.rejected.values()) for _row, lane in self.lanes)

    @property
    def lag_seconds(self) -> float:
        """The worst lag."""
        return max((lane.lag_seconds for _row, lane in self.lanes), default=0.0)

    @property
    def last_error(self) -> str:
        """The error of the agent that finds it worst; empty when none tells of one."""
        worst_first = sorted(self.lanes, key=lambda pair: ORDER[lane_health(*pair)])
        return next((lane.last_error for _row, lane in worst_first if lane.last_error), "")


async def destinations_page(request: Request, org_id: str) -> Response:
    """Show those kept here, with how their agents find them; then each that agents report, and which are local."""
    found: dict[tuple[str, str], Destination] = {}
    for row in await agent_rows(request, org_id):
        for lane in row.seen.report.agent_status.destinations:
            each = found.setdefault(
                (lane.name, lane.location), Destination(name=lane.name, type=lane.type, location=lane.location)
            )
            each.lanes.append((row, lane))
    may_see_kept = Scope.DESTINATIONS_READ in request.state.scopes
    keeps = await kept(request.app.state.store, org_id) if may_see_kept else []
    named = _by_name(found.values())
    values = {
        "page": "destinations",
        "destinations": sorted(found.values(), key=lambda each: (ORDER[each.health], each.name)),
        "lane_health": lane_health,
        "kept": [(each, named.get(each.name)) for each in keeps],
        "most_kept": MOST,
        # Of a list that is cut nobody can tell what is not in it.
        "local": named.keys() - {each.name for each in keeps} if may_see_kept and len(keeps) < MOST else frozenset(),
        "missing_scope": None if may_see_kept else Scope.DESTINATIONS_READ,
    }
    return renderer(request).page("destinations.html", values)


def _by_name(found: Iterable[Destination]) -> dict[str, Destination]:
    """Return one for each name: an agent may still have it at its former location."""
    named: dict[str, Destination] = {}
    for each in found:
        named.setdefault(each.name, Destination(name=each.name)).lanes.extend(each.lanes)
    return named
