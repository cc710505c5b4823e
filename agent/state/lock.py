"""One agent at a time in a state directory."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked(state_dir: Path, *, name: str = "lock") -> Iterator[None]:
    """Hold the state directory for this process; a lock of a process that died is gone with it.

    Raises ``StateError`` when another agent holds it or the directory cannot be used.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(state_dir, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            message = f"{state_dir}: in use by another agent (pid {holder}); stop it or set another agent.state_dir"
            raise StateError(message) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:  # a full disk
            raise _unusable(state_dir, error) from error
        yield
    finally:
        os.close(descriptor)


def _unusable(state_dir: Path, error: OSError) -> StateError:
    return StateError(
        f"{state_dir}: cannot be used as state directory: {error.strerror}; set agent.state_dir or mend it"
    )
