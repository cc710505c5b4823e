"""A PostgreSQL server of the test's own, from the system's packages: on a socket in a folder, gone at the end."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_USER = "postgres"
_OPTIONS = ("listen_addresses=", "max_connections=200", "shared_buffers=128MB", "max_wal_size=2GB")


class Server:
    """A running server, and databases in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    def url(self, database: str = _USER) -> str:
        """Return the address of a database as the collector takes it."""
        return f"postgresql+psycopg://{_USER}@/{database}?host={self._folder}"

    def connect(self, database: str = _USER) -> psycopg.Connection:
        """Connect to a database; every statement is a transaction."""
        return psycopg.connect(host=str(self._folder), user=_USER, dbname=database, autocommit=True)

    def fresh(self) -> str:
        """Make an empty database and return its address."""
        name = f"test{os.getpid()}_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def programs() -> Path:
    """Return the folder of the server's programs; raises when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).parent
    raise RuntimeError("the tests of the collector need PostgreSQL's server; on Debian: apt-get install postgresql")


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Server]:
    """Run a server while the block runs; ``durable``: it flushes what it commits."""
    # It refuses to run as root, and its folder has to be reachable by whom it runs as.
    user = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="audit-pg-"))
    log = folder / "server.log"
    process = None
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()} if user else {}
        data = folder / "data"
        made = subprocess.run(
            [programs() / "initdb", "-D", data, "-U", _USER, "--auth=trust", "--no-sync", "-E", "UTF8"],
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            **as_user,  # type: ignore[call-overload]
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        options = [part for option in (*_OPTIONS, f"fsync={'on' if durable else 'off'}") for part in ("-c", option)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [programs() / "postgres", "-D", data, "-k", folder, *options],
                cwd="/",
                env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
                stdout=output,
                stderr=output,
                **as_user,  # type: ignore[call-overload]
            )
        server = Server(folder)
        wait_until(lambda: _answers(server, process), what="PostgreSQL to answer", on_timeout=log.read_text)
        yield server
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # its "fast" shutdown
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    for name in (_USER, "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL needs a user other than root; neither postgres nor nobody exists")


def _answers(server: Server, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(
            f"PostgreSQL ended with {process.returncode}:\n{(server._folder / 'server.log').read_text()}"
        )
    try:
        with server.connect() as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False
