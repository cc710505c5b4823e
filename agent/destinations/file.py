"""Destination ``file``: JSON lines, rotated by size and age (WIRE 5.1)."""

from __future__ import annotations

import errno
import threading
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog
from anyio import to_thread

from agent.destinations import rotation
from agent.destinations.base import ACCEPTED, Answer, Failure, Kind
from agent.destinations.location import parse
from agent.destinations.logfile import LogFile, NotRegularError
from agent.encoders import jsonl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.config.model import DestinationConfig
    from agent.events import Transaction

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_MISPLACED = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL})
"""Errors that no waiting repairs; a full disk, a missing permission and the rest are "down" (WIRE 5.1)."""


class File:
    """Appends transactions to a file. A transaction is durable (``fdatasync``) before it counts as accepted.

    All blocking work runs in one worker thread at a time, of a limiter of its own: a hanging file system
    holds up nobody else. A transaction that does not fit into the live file goes on in the next one, at a
    line's end.
    """

    def __init__(self, config: DestinationConfig, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep what ``config`` says. Raises ``ValueError`` for a location that ``problems`` reports."""
        self._name = config.name
        self._location = parse(config.location)
        self._file = LogFile(self._location.path)
        self._now = now
        self._cleaned = False
        self._lock: anyio.Lock | None = None
        self._limiter: anyio.CapacityLimiter | None = None

    def __repr__(self) -> str:
        """Show the path."""
        return f"File({self._location.path})"

    async def attempt(self, transaction: Transaction) -> Answer:
        """Append ``transaction``; on an error in the middle, the events written so far are accepted."""
        if self._lock is None:
            self._lock = anyio.Lock()
        done = 0
        async with self._lock:
            try:
                while done < len(transaction):
                    written = await self._run(partial(self._step, transaction.bodies, done))
                    done += written
                    if not written:
                        await self._tidy()
            except OSError as error:
                pending = range(done, len(transaction))
                return Answer(pending=pending, failure=self._failure(error))
        return ACCEPTED

    async def aclose(self) -> None:
        """Close the file."""
        await self._run(self._file.close)

    def _step(self, bodies: Sequence[bytes], first: int) -> int:
        """Append as many of ``bodies[first:]`` as fit, at least one, and return how many.

        Return 0 after a rotation, which the next line or the file's age made due.
        """
        file, limit = self._file, self._location.max_size_bytes
        file.open()
        if not self._cleaned:
            rotation.clean(file.path)
            self._cleaned = True
        size, now = file.size(), self._now()
        full = size > 0 and size + len(bodies[first]) + 1 > limit
        if full or file.age_seconds(now.timestamp()) >= self._location.max_age_seconds:
            name = file.rotate(now)
            log.info("file_rotated", destination=self._name, path=str(file.path), to=name.name)
            return 0
        rest = bodies[first:] if first else bodies
        fit = sum(size + end <= limit for end in accumulate(len(body) + 1 for body in rest))
        count = max(1, fit)
        file.append(jsonl.encode(rest[:count]))
        return count

    async def _tidy(self) -> None:
        """Compress and prune what was rotated, before the next line is written."""
        try:
            if self._location.compress:
                await self._compress()
            await self._run(self._prune)
        except OSError as error:  # the next file can be written to all the same
            log.warning("file_rotation_incomplete", destination=self._name, reason=_words(error))

    async def _compress(self) -> None:
        """Gzip the rotated files that are not yet.

        When the agent stops meanwhile, the thread is told; the file's turn comes after the next rotation.
        """
        stop = threading.Event()
        try:
            for path in await self._run(lambda: rotation.backups(self._file.path)):
                if path.suffix != ".gz":
                    await to_thread.run_sync(_compress, path, stop, abandon_on_cancel=True)
        finally:
            stop.set()

    def _prune(self) -> None:
        """Delete the rotated files beyond ``max_backups``."""
        for path in rotation.prune(self._file.path, keep=self._location.max_backups):
            log.info("file_backup_deleted", destination=self._name, path=str(path))

    async def _run(self, work: Callable[[], _T]) -> _T:
        """Run blocking ``work`` in a thread."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(1)
        return await to_thread.run_sync(work, limiter=self._limiter)

    def _failure(self, error: OSError) -> Failure:
        """Return why nothing more could be written."""
        misplaced = isinstance(error, NotRegularError) or error.errno in _MISPLACED
        kind = Kind.DESTINATION if misplaced else Kind.NOT_NOW
        return Failure(kind=kind, reason=f"{self._location.path}: {_words(error)}")


def _compress(path: Path, stop: threading.Event) -> None:
    """Compress ``path`` unless told to stop."""
    rotation.compress(path, stopped=stop.is_set)


def _words(error: OSError) -> str:
    """Return the operating system's words."""
    return error.strerror or type(error).__name__


def problems(config: DestinationConfig) -> list[tuple[str, str, str]]:
    """Return the mistakes of a file destination: key, what was found, what is allowed."""
    found = []
    try:
        path = parse(config.location).path
    except ValueError as error:
        allowed = "file:///ABSOLUTE/PATH, file://./RELATIVE, a plain path; ?max_size&max_age&max_backups&compress"
        found.append(("location", str(error), allowed))
    else:
        if Path(path).is_dir():
            found.append(("location", f"{path} is a directory", "the path of a file"))
    kind = config.authentication.authentication_type
    if kind != "none":
        found.append(("authentication.authentication_type", repr(kind), "none (a file takes no credentials)"))
    return found


def warnings(config: DestinationConfig) -> list[tuple[str, str, str]]:
    """Return nothing: a file has no risky settings."""
    del config
    return []
