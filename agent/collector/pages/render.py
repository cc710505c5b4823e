"""Templates → answers, with headers that leave a page nothing to load, to run or to be framed by."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from agent.collector.pages import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

_HERE = Path(__file__).parent


class Renderer:
    """The templates of all pages, read once."""

    def __init__(self, *, with_logout: bool) -> None:
        """Read them; ``with_logout``: there are sessions to end."""
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "visible": shown.visible,
            "size": shown.size,
            "duration": shown.duration,
            "moment": shown.moment,
            "number": shown.number,
            "place": shown.place,
        }
        self._templates.globals |= {
            # Both are files of ours, part of every page: so no route has to serve them without credentials.
            "style": Markup((_HERE / "style.css").read_text(encoding="utf-8")),  # noqa: S704
            "script": Markup((_HERE / "script.js").read_text(encoding="utf-8")),  # noqa: S704
            "with_logout": with_logout,
        }

    def page(self, name: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
        """Return a whole page."""
        nonce = secrets.token_urlsafe(18)
        text = self._templates.get_template(name).render(nonce=nonce, **values)
        return HTMLResponse(text, status, _headers(nonce))

    def part(self, name: str, values: Mapping[str, Any], *, headers: Mapping[str, str]) -> Response:
        """Return a part of a page for the script."""
        text = self._templates.get_template(name).render(**values)
        return HTMLResponse(text, headers={**_headers(None), **headers})


def _headers(nonce: str | None) -> dict[str, str]:
    own = f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; " if nonce else ""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; {own}connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none';"
            " frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
