"""Which page is where. Every one but the login needs a session."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent.collector.pages import agents, destinations, detail, events, session
from agent.collector.pages.session import needs_session


def page_routes() -> list[Route]:
    """Return the routes of all pages; the application holds a ``Renderer`` as ``state.renderer``."""
    return [
        Route("/login", session.login_form, methods=["GET"]),
        Route("/login", session.login, methods=["POST"]),
        Route("/logout", session.logout, methods=["POST"]),
        Route("/", needs_session(_start), methods=["GET"]),
        Route("/events", needs_session(events.listing), methods=["GET"]),
        Route("/events/new", needs_session(events.newer, part=True), methods=["GET"]),
        Route("/events/{unique_id}", needs_session(detail.event), methods=["GET"]),
        Route("/events/{unique_id}/raw", needs_session(detail.raw), methods=["GET"]),
        Route("/agents", needs_session(agents.fleet_page), methods=["GET"]),
        Route("/agents/{agent_id}", needs_session(agents.agent_page), methods=["GET"]),
        Route("/destinations", needs_session(destinations.destinations_page), methods=["GET"]),
        Route("/rejects", needs_session(agents.rejects_page), methods=["GET"]),
    ]


async def _start(_request: object, _org_id: str) -> Response:
    return RedirectResponse("/events", 303)
