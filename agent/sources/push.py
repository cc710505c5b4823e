"""The source type ``http``: programs post events, and are answered once these are durable.

``POST /v1/bulk_audit_events`` takes a bulk request and answers for each event (WIRE 4); ``POST /v1/events`` or ``/``
takes lines. At the spool's bound callers get 429 with Retry-After, while the disk fails 503.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from agent.errors import AgentError, SecretError
from agent.sources.spooled import Spooled
from agent.streams.spool import SpoolFull

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskStatus
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from agent.config.model import HttpSourceConfig
    from agent.sources.base import Surroundings
    from agent.sources.file import FileSource
    from agent.stats import AgentStats
    from agent.streams.stream import Stream

log = structlog.get_logger(__name__)

MAX_EVENTS = 10_000
"""Of one bulk request."""

_AGAIN_SECONDS = 2.0
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowed:
    max_body_bytes: int
    max_expanded_bytes: int
    body_timeout_seconds: float = 30.0


class Http:
    """Listens on one address."""

    def __init__(self, config: HttpSourceConfig, around: Surroundings) -> None:
        """Prepare; listens to nothing yet."""
        from agent.receive.limits import Budget

        self._config = config
        self._spooled = Spooled(config, around, ends=around.one_shot)
        self._listens = not around.one_shot
        self._allowed = _Allowed(max_body_bytes=config.max_body_bytes, max_expanded_bytes=4 * config.max_body_bytes)
        self._budget = Budget(self._allowed.max_expanded_bytes)

    @property
    def lines(self) -> FileSource:
        """What lanes read: the spool."""
        return self._spooled.lines

    async def run(self, agent: AgentStats, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; a one-shot run only ships what was spooled before."""
        await self._spooled.run(agent, self._listen if self._listens else None, task_status=task_status)

    def sweep(self, past: Callable[[Stream], bool]) -> list[str]:
        """Remove the segments that every lane is past."""
        return self._spooled.sweep(past)

    async def _listen(self) -> None:
        """Serve until cancelled. Before this returns, requests under way are answered and no connection is open."""
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve, stop)
            try:
                await anyio.sleep_forever()
            finally:
                stop.set()

    async def _serve(self, stop: anyio.Event) -> None:
        """Serve until ``stop``. While the address cannot be had, say so and try again: the other sources work."""
        # Imported here: an agent without such a source does not pay for a web server.
        from agent.serve import serving

        tls = self._config.tls
        pair = (tls.cert_file, tls.key_file) if tls.cert_file and tls.key_file else None
        with anyio.CancelScope(shield=True):
            while not stop.is_set():
                try:
                    async with serving(
                        self._app(), listen=self._config.listen, tls=pair, grace_seconds=_GRACE_SECONDS
                    ) as url:
                        self._spooled.trouble(None)
                        log.info("source_listening", source=self.lines.name, url=url)
                        await stop.wait()
                except AgentError as error:
                    self._spooled.trouble(str(error))
                with anyio.move_on_after(_AGAIN_SECONDS):
                    await stop.wait()

    def _app(self) -> Starlette:
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(
            routes=[
                Route("/v1/bulk_audit_events", self._answer_bulk, methods=["POST"]),
                Route("/v1/events", self._answer_lines, methods=["POST"]),
                Route("/", self._answer_lines, methods=["POST"]),
            ]
        )

    async def _answer_bulk(self, request: Request) -> Response:
        return await self._answer(request, self._take_bulk)

    async def _answer_lines(self, request: Request) -> Response:
        return await self._answer(request, self._take_lines)

    async def _answer(self, request: Request, take_in: Callable[[bytes], _TakenIn]) -> Response:
        """Answer one request: nothing is said to be taken before it is durable."""
        from starlette.responses import JSONResponse

        from agent.receive.body import BodyError, read_body
        from agent.receive.envelope import EnvelopeError
        from agent.receive.guard import problem, refusal
        from agent.receive.limits import OverloadedError

        try:
            tokens = (self._config.token.reveal(),) if self._config.token else ()
        except SecretError as error:
            return problem(503, "token", f"{error}", _retry_after(5, 30))
        if (refused := refusal(request, tokens=tokens)) is not None:
            return refused
        try:
            with self._budget.request() as take:
                taken = take_in(await read_body(request, self._allowed, take=take))
                if sum(map(len, taken.bodies)) >= self._config.spool.max_bytes:
                    return problem(413, "spool", "more than the spool may ever hold; send less at a time")
                await self._spooled.append(taken.bodies)
        except BodyError as error:
            # There may be more to come of it, which is no next request.
            return problem(error.status, "body", error.reason, {"Connection": "close"})
        except EnvelopeError as error:
            return problem(400, "envelope", str(error))
        except OverflowError as error:
            return problem(413, "events", str(error))
        except (OverloadedError, SpoolFull):
            self._spooled.stats.refused_requests += 1
            return problem(429, "spool_full", "destinations are behind; nothing was taken", _retry_after(2, 8))
        except OSError as error:
            return problem(503, "storage", f"nothing was taken: {error.strerror or error}", _retry_after(2, 8))
        return JSONResponse(taken.answer, 201)

    def _take_bulk(self, body: bytes) -> _TakenIn:
        from agent.receive.envelope import parse

        bulk = parse(body, max_events=MAX_EVENTS)
        # An id that was also refused is named as taken, else the refusal would count for both (WIRE 4.4, 4).
        unclear = {name for name, _why in bulk.invalid}
        done = [r.unique_id for r in bulk.rows if bulk.list_all or r.unique_id in unclear]
        return _TakenIn(
            bodies=[_one_line(row.envelope) for row in bulk.rows],
            answer={
                "success_events": [{"unique_id": name, "status": "success"} for name in done],
                "discard_events": [
                    {"unique_id": name, "status": "invalid", "status_message": why} for name, why in bulk.invalid
                ],
                "retry_events": [],
            },
        )

    def _take_lines(self, body: bytes) -> _TakenIn:
        before = self._spooled.stats.parse_errors
        bodies = self._spooled.wrapper.wrap(body)
        errors = self._spooled.stats.parse_errors - before
        return _TakenIn(bodies=bodies, answer={"accepted": len(bodies), "unparsed": errors})


@dataclass(frozen=True, slots=True, kw_only=True)
class _TakenIn:
    """A request's events, and what to answer once they are durable."""

    bodies: Sequence[bytes]
    answer: dict[str, Any]


def _one_line(envelope: bytes) -> bytes:
    # Outside of strings a line feed is white space, and inside of them JSON has none.
    return envelope.replace(b"\n", b" ").replace(b"\r", b" ")


def _retry_after(low: int, high: int) -> dict[str, str]:
    # Jittered, so that senders do not come back all at once.
    return {"Retry-After": str(random.randint(low, high))}  # noqa: S311 # no secret
