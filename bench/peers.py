"""Other shippers to compare with, from Debian's packages, unpacked beside the system: they conflict when installed.

``unpacked`` is the folder of one family of packages, or None with the reason on standard error. The commands run the
daemon in the foreground with a configuration that does what the agent is asked to do: follow the files, send what is
there, remember how far.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.native import cache

PACKAGES = {
    "rsyslog": ("rsyslog", "rsyslog-elasticsearch"),
    "syslog-ng": ("syslog-ng-core", "syslog-ng-mod-http"),
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """How to start a peer."""

    arguments: list[str]
    environment: dict[str, str]


def unpacked(family: str) -> Path | None:
    """Return the folder with ``family`` unpacked; None, with one line that says why, when that is not possible."""
    folder = cache() / family
    if (folder / "done").exists():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        print(
            f"bench: {family} is left out: it is taken from Debian's packages, and apt-get is missing", file=sys.stderr
        )
        return None
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        _unpack(family, folder)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line] or [str(error)]
        print(f"bench: {family} is left out: {lines[-1]} (apt-get update may help)", file=sys.stderr)
        return None
    (folder / "done").touch()
    return folder


def _unpack(family: str, folder: Path) -> None:
    plan = _told("apt-get", "-s", "install", "--no-install-recommends", *PACKAGES[family], folder=folder)
    missing = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    _told("apt-get", "download", "-o", "APT::Sandbox::User=root", *sorted({*PACKAGES[family], *missing}), folder=folder)
    for package in folder.glob("*.deb"):
        _told("dpkg-deb", "-x", str(package), str(folder), folder=folder)
        package.unlink()


def _told(*arguments: str, folder: Path) -> str:
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True).stdout


def _environment(root: Path) -> dict[str, str]:
    folders = sorted({str(found.parent) for found in root.rglob("lib*.so.*")})
    return os.environ | {"LD_LIBRARY_PATH": ":".join(folders)}


def rsyslog(root: Path, folder: Path, *, include: str, port: int, output: str, per_transaction: int) -> Command:
    """Return the command of rsyslog; ``output`` is ``http`` (bulk POSTs of omelasticsearch) or ``tcp`` (omfwd)."""
    modules = next(root.rglob("imfile.so")).parent
    if output == "http":
        action = (
            f'action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="raw" bulkmode="on"'
            ' searchIndex="bench" searchType="" maxbytes="1m" action.resumeRetryCount="-1")'
        )
        load, batch = 'module(load="omelasticsearch")', per_transaction
    else:
        action = (
            f'action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="line"'
            ' action.resumeRetryCount="-1")'
        )
        load, batch = "", 1024
    work = folder / "rsyslog"
    work.mkdir(exist_ok=True)
    config = folder / "rsyslog.conf"
    config.write_text(
        f"""global(workDirectory="{work}" maxMessageSize="64k" parser.permitSlashInProgramName="on")
module(load="imfile" mode="inotify")
{load}
template(name="raw" type="string" string="%msg%")
template(name="line" type="string" string="%msg%\\n")
ruleset(name="out" queue.type="linkedList" queue.size="50000" queue.dequeueBatchSize="{batch}") {{
  {action}
}}
input(type="imfile" file="{include}" tag="bench" ruleset="out")
"""
    )
    daemon = str(root / "usr/sbin/rsyslogd")
    return Command(
        arguments=[daemon, "-n", "-i", str(folder / "rsyslog.pid"), "-f", str(config), "-M", str(modules)],
        environment=_environment(root),
    )


def syslog_ng(root: Path, folder: Path, *, include: str, port: int, per_transaction: int, flush_ms: int) -> Command:
    """Return the command of syslog-ng with http(); a transaction waits at most ``flush_ms`` for more lines."""
    modules = next(root.rglob("libaffile.so")).parent
    path = Path(include)
    if "*" in include:
        deep = "*" in path.parent.name
        base = path.parent.parent if deep else path.parent
        source = (
            f'wildcard-file(base-dir("{base}") filename-pattern("{path.name}") recursive({"yes" if deep else "no"})'
            " max-files(50000) flags(no-parse)"
        )
    else:
        source = f'file("{path}" flags(no-parse)'
    # The window is shared among the files; and looking at thousands of them a thousand times a second is not idling.
    follow, window = (1, 10_000_000) if "*" in path.parent.name else (0.001, 20_000)
    config = folder / "syslog-ng.conf"
    config.write_text(
        f"""@version: 3.38
options {{ log-msg-size(65536); stats-freq(0); chain-hostnames(no); dns-cache(no); use-dns(no); keep-hostname(yes); }};
source in {{ {source} follow-freq({follow}) log-fetch-limit(1000) log-iw-size({window})); }};
destination out {{ http(url("http://127.0.0.1:{port}/hook") method("POST") body("$MSG") delimiter("\\n")
  batch-lines({per_transaction}) batch-bytes(4Mb) batch-timeout({flush_ms}) workers(1) log-fifo-size(50000)
  persist-name("out")); }};
log {{ source(in); destination(out); flags(flow-control); }};
"""
    )
    daemon = str(root / "usr/sbin/syslog-ng")
    arguments = [daemon, "-F", "-f", str(config), "--module-path", str(modules), "--no-caps"]
    arguments += ["-R", str(folder / "persist"), "-c", str(folder / "control"), "-p", str(folder / "syslog-ng.pid")]
    return Command(arguments=arguments, environment=_environment(root))
