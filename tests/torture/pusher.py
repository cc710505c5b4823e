"""A program that posts numbered events to the source ``http``; only what was answered as taken counts as written."""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from pathlib import Path

NAME = "push"
_PAUSE_SECONDS = 0.05
_AGAIN_SECONDS = 0.2


class Pusher:
    """Posts in a thread: bulk requests, repeated until they are answered, and plain lines, posted once."""

    def __init__(self, socket: Path, seed: int) -> None:
        """Post to the unix socket at ``socket``."""
        self.taken: set[int] = set()
        """Numbers that were acknowledged."""
        self.unsure: set[int] = set()
        """Numbers whose answer was lost: they may arrive."""
        self.repeated: set[int] = set()
        """Numbers that were posted again with their id: they may arrive twice."""
        self._socket = socket
        self._chance = random.Random(seed)
        self._next = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pusher", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Post nothing more; what was not answered until now stays unsure."""
        self._stop.set()
        self._thread.join(60)

    def post_one(self) -> int:
        """Post one more event, after ``stop``; return its number. It is taken, or this raises."""
        number = self._numbers(1)[0]
        with self._client() as client:
            answer = self._post(client, [number], bulk=True)
        assert answer == 201, f"the last event was answered {answer}"
        self.taken.add(number)
        return number

    def _numbers(self, count: int) -> list[int]:
        first, self._next = self._next, self._next + count
        return list(range(first, self._next))

    def _client(self) -> httpx.Client:
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self._socket)), base_url="http://localhost", timeout=10
        )

    def _run(self) -> None:
        with self._client() as client:
            while not self._stop.wait(_PAUSE_SECONDS):
                numbers = self._numbers(self._chance.randrange(1, 20))
                if self._chance.random() < 0.5:
                    self._lines(client, numbers)
                else:
                    self._bulk(client, numbers)

    def _lines(self, client: httpx.Client, numbers: list[int]) -> None:
        """Post lines once. An answer other than 201 says that nothing was taken; no answer says nothing."""
        status = self._post(client, numbers, bulk=False)
        if status == 201:
            self.taken.update(numbers)
        elif status is None:
            self.unsure.update(numbers)
            self._stop.wait(_AGAIN_SECONDS)

    def _bulk(self, client: httpx.Client, numbers: list[int]) -> None:
        while (status := self._post(client, numbers, bulk=True)) != 201:
            if status is None:
                self.unsure.update(numbers)
                self.repeated.update(numbers)
            if self._stop.wait(_AGAIN_SECONDS):
                return
        self.taken.update(numbers)

    def _post(self, client: httpx.Client, numbers: list[int], *, bulk: bool) -> int | None:
        """Return the status, None when there was no answer."""
        pad = "p" * self._chance.choice((0, 20, 200))
        events = [{"n": n, "w": NAME, "pad": pad} for n in numbers]
        now = datetime.fromtimestamp(time.time(), UTC).isoformat()
        try:
            if bulk:
                body = {"events": [{"unique_id": f"{NAME}-{e['n']}", "create_time": now, "event": e} for e in events]}
                return client.post("/v1/bulk_audit_events", json=body).status_code
            lines = "".join(json.dumps(e) + "\n" for e in events)
            return client.post("/v1/events", content=lines).status_code
        except httpx.ConnectError:
            return 0  # nobody heard it
        except httpx.HTTPError:
            return None
