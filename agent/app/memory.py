"""Settings of the process: allocator and collector as the way we use memory asks for, and open files."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MMAP_THRESHOLD = 32 << 20
_TRIM_THRESHOLD = 32 << 20
_COLLECT_AFTER = 20_000


def tune() -> None:
    """Keep freed megabytes instead of giving each back to the kernel, and look for cycles less often.

    Chunks and request bodies of about 1 MiB come and go hundreds of times a second; by default glibc returns each
    to the kernel, and zeroing their pages again costs a sixth of the CPU.
    """
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
            mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
            mallopt(_M_TOP_PAD, 1 << 20)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def allow_many_files() -> None:
    """Raise the soft limit of open files, 1024 by default, to what the process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
