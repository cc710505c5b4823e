"""An ``Authorization`` header that is built when needed and built again when it is refused (WIRE 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

REFUSED = frozenset({401, 403})


class HeaderAuth(httpx.Auth):
    """Signs requests with the header value that ``make`` returns.

    The value is kept until a 401 or 403; then it is made anew (so that a rotated token file is seen) and the
    request is sent once more at once. With ``keep`` false it is made for every request. ``make`` may raise
    ``SecretError``, which leaves the flow.
    """

    def __init__(self, make: Callable[[], str], *, keep: bool = True) -> None:
        """Keep ``make``; nothing is resolved yet."""
        self._make = make
        self._keep = keep
        self._value: str | None = None

    def __repr__(self) -> str:
        """Show the class only: the value is a secret."""
        return "HeaderAuth(***)"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the signed request, and once more with new credentials when the first were refused."""
        if self._value is None or not self._keep:
            self._value = self._make()
        used = request.headers["Authorization"] = self._value
        response = yield request
        if response.status_code not in REFUSED:
            return
        if self._value == used:  # else another request has renewed it meanwhile
            self._value = None
            self._value = self._make()
        used = request.headers["Authorization"] = self._value
        response = yield request
        if response.status_code in REFUSED and self._value == used:
            self._value = None  # the next attempt, after its pause, looks again
