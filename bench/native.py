"""The benchmarks' small C programs: compiled once, kept in a cache folder by what their source says."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ("-O3", "-std=gnu11", "-Wall", "-Wextra")


def cache() -> Path:
    """Return the folder for what can be made anew: compiled programs, unpacked peers."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "audit-agent-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str) -> Path | None:
    """Return ``bench/NAME.c`` compiled, None where there is no compiler; what failed is said."""
    source = HERE / f"{name}.c"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    digest = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:12]
    done = cache() / f"{name}-{digest}"
    if done.exists():
        return done
    if compiler is None:
        print(f"bench: no C compiler (cc), so {source.name} is not used", file=sys.stderr)
        return None
    part = done.with_suffix(f".{os.getpid()}")
    made = subprocess.run([compiler, *FLAGS, "-o", str(part), str(source)], capture_output=True, text=True, check=False)
    if made.returncode:
        print(f"bench: {source.name} does not compile here, so it is not used:\n{made.stderr}", file=sys.stderr)
        return None
    part.rename(done)
    return done
