"""What came of a stream: the offsets of its lines, for proving that every one arrived."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.collector.access.principal import Scope
from agent.collector.routes.operation import Operation, RefusedError, answer
from agent.collector.routes.parameters import Parameter
from agent.collector.store import events

if TYPE_CHECKING:
    from starlette.responses import Response

    from agent.collector.routes.operation import Call

MOST = 100_000
_STREAM = re.compile(r"[0-9a-f]{32}")


async def stream_ids(call: Call) -> Response:
    """Answer with offsets in ascending order, those after ``after``; ``more`` tells whether there are more."""
    stream = str(call.request.path_params["stream"])
    if not _STREAM.fullmatch(stream):
        raise RefusedError(400, "parameter", f"stream: found {stream[:80]!r}; allowed: 32 hexadecimal digits")
    org = await call.org()
    after, limit = call.parameters["after"], call.parameters["limit"]
    offsets = await call.store.read(
        lambda connection: events.positions(
            connection, org, bytes.fromhex(stream), after=-1 if after is None else after, limit=limit + 1
        )
    )
    shown = offsets[:limit]
    return answer({"stream": stream, "count": len(shown), "offsets": shown, "more": len(offsets) > limit})


OPERATION = Operation(
    method="GET",
    path="/v1/streams/{stream}/ids",
    name="list_stream_ids",
    about="List the offsets that are here of a stream: event ids are <stream>.<offset in hex>, each is here once.",
    scope=Scope.AUDITS_READ,
    run=stream_ids,
    parameters=(
        Parameter(name="after", about="Only offsets greater than this.", kind="integer"),
        Parameter(name="limit", about="At most so many.", kind="integer", low=1, high=MOST, default=MOST),
    ),
    answers={200: "StreamIds"},
)
