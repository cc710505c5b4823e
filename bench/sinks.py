"""The receiving processes: the sink in C; in Python for TLS and where there is no compiler."""

from __future__ import annotations

import gzip
import json
import shutil
import ssl
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.native import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PYTHON_SINK = str(Path(__file__).with_name("sink.py"))


class Sink:
    """A receiving process."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None, encoded: Path | None = None) -> None:
        """Talk to the sink on ``port``; compressed bodies are in the file ``encoded``."""
        self.port = port
        self._tls = tls
        self._encoded = encoded

    @property
    def url(self) -> str:
        """The location for a destination."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/hook"

    def verdict(self) -> dict[str, Any]:
        """Return what arrived since the last verdict."""
        told = self._ask("verdict")
        if self._encoded and told.get("encoded"):
            told |= {name: value for name, value in _decoded(self._encoded).items() if name in ("events", "distinct")}
            told["twice"] = told["events"] - told["distinct"]
        return told

    def stats(self) -> dict[str, Any]:
        """Return what arrived since the last verdict, and go on counting. Compressed bodies are not looked into."""
        return self._ask("stats")

    def _ask(self, what: str) -> dict[str, Any]:
        url = f"{self.url.removesuffix('hook')}{what}"
        with urllib.request.urlopen(url, timeout=300, context=self._tls) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def sink(port: int = 0, *, ids: bool = False, retry_percent: int = 0, encoded: Path | None = None) -> Iterator[Sink]:
    """Run a sink while the block runs, on a free port unless one is given.

    The one in C; the one in Python where there is no compiler, which takes less and can neither ask for events again
    nor keep compressed bodies. ``ids`` tells numbers that came under two ids apart; the one in Python always does.
    """
    native = program("sink")
    if native:
        command = [str(native), "--port", str(port), *(["--ids"] if ids else [])]
        command += ["--retry-percent", str(retry_percent)] if retry_percent else []
        command += ["--encoded", str(encoded)] if encoded else []
    elif retry_percent or encoded:
        raise RuntimeError("this needs the sink in C, and there is no C compiler (cc)")
    else:
        print("bench: the sink in Python is used: it may be the bottleneck, so compare ratios only", file=sys.stderr)
        command = [sys.executable, PYTHON_SINK, str(port)]
    with _serving(command) as bound:
        yield Sink(bound, encoded=encoded)


@contextmanager
def tls_sink(cert: Path, key: Path) -> Iterator[Sink]:
    """Run the sink in Python with TLS while the block runs."""
    context = ssl.create_default_context(cafile=None)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _serving([sys.executable, PYTHON_SINK, "0", str(cert), str(key)]) as port:
        yield Sink(port, tls=context)


def scan(paths: Sequence[Path]) -> dict[str, Any]:
    """Judge what stands in files as the sink judges what it receives."""
    native = program("sink")
    if native is None:
        raise RuntimeError("this needs the sink in C, and there is no C compiler (cc)")
    done = subprocess.run([str(native), "--scan", *map(str, paths)], capture_output=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _decoded(path: Path) -> dict[str, Any]:
    """Judge the compressed bodies that the sink appended to ``path``; the next ones begin a new file."""
    plain = path.with_suffix(".plain")
    with gzip.open(path, "rb") as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    told = scan([plain])
    plain.unlink()
    with path.open("wb"):  # the sink appends, so it goes on at the new end
        pass
    return told


@contextmanager
def _serving(command: Sequence[str]) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
