"""``audit-agent collector``: serves the Audits API: receives events, keeps each once, answers queries."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from agent.cli import collector_accounts
from agent.cli.common import add_logging, configure_logging, run_async, seconds

DEFAULT_DATABASE = "/var/lib/audit-agent/collector.db"
DATABASE_VARIABLE = "AUDIT_COLLECTOR_DATABASE"
TOKEN_VARIABLE = "AUDIT_COLLECTOR_TOKEN"  # noqa: S105 # a name


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("collector", help="serve the Audits API", description=__doc__)
    add_logging(parser)
    parser.add_argument(
        "--listen", default="127.0.0.1:8484", metavar="HOST:PORT", help="or unix:/path.sock (default: %(default)s)"
    )
    parser.add_argument(
        "--database",
        default=os.environ.get(DATABASE_VARIABLE, DEFAULT_DATABASE),
        metavar="PATH|URL",
        help=f"SQLite file, :memory:, or postgresql+psycopg://USER@HOST/NAME; else {DATABASE_VARIABLE}, which no other"
        f" user sees; else {DEFAULT_DATABASE}",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"bearer tokens that may do everything, one a line; else {TOKEN_VARIABLE}",
    )
    parser.add_argument(
        "--no-token", action="store_true", help="programs of this machine may do everything; only on a loopback address"
    )
    parser.add_argument(
        "--org-id", default="default", metavar="ID", help="the organisation of those callers (default: %(default)s)"
    )
    parser.add_argument("--keep-for", type=seconds, metavar="DURATION", help="remove events after this; default: never")
    parser.add_argument(
        "--keep-bytes",
        type=_bytes,
        metavar="SIZE",
        help="remove the oldest events beyond this; default: no bound",
    )
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, PEM")
    parser.set_defaults(run=run)
    collector_accounts.add(parser.add_subparsers(metavar="token|user", title="who may call"))


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped; returns the exit code."""
    import anyio
    import structlog

    from agent import collector
    from agent.collector.store.retention import Keep
    from agent.errors import AgentError, UsageError
    from agent.serve import is_loopback

    configure_logging(arguments, None)
    settings = collector.Settings(
        tokens=() if arguments.no_token else _tokens(arguments.token_file),
        open_to_this_machine=arguments.no_token,
        org_id=arguments.org_id,
        keep=Keep(max_age_seconds=arguments.keep_for, max_bytes=arguments.keep_bytes),
    )
    try:
        reachable = not is_loopback(arguments.listen)
    except AgentError as error:
        raise UsageError(f"--listen: {error}") from error
    if reachable and arguments.no_token:
        raise UsageError(
            f"--no-token: found {arguments.listen}, which others can reach; allowed: a loopback address, or a token in"
            f" {TOKEN_VARIABLE} or --token-file"
        )
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise UsageError("--tls-cert and --tls-key: found only one of them; allowed: both or neither")
    tls = (arguments.tls_cert, arguments.tls_key) if arguments.tls_cert else None
    log = structlog.get_logger(__name__)

    async def main() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with collector.running(
                listen=arguments.listen, database=arguments.database, settings=settings, tls=tls
            ) as handle:
                if not (settings.tokens or arguments.no_token or handle.has_accounts()):
                    log.warning("collector_without_callers", allowed=f"{TOKEN_VARIABLE}, --token-file, token add")
                log.info("collector_listening", url=handle.url, database=handle.store.database.name)
                async for _ in signals:
                    break
                log.info("collector_stopping")
        log.info("collector_stopped")

    run_async(main)
    return 0


def _bytes(text: str) -> int:
    from agent.config.units import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _tokens(file: str | None) -> tuple[str, ...]:
    from agent.errors import UsageError

    if file is None:
        return tuple(filter(None, [os.environ.get(TOKEN_VARIABLE, "").strip()]))
    try:
        tokens = tuple(line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file: {file}: {error}") from error
    if not tokens:
        raise UsageError(f"--token-file: {file}: found no token; allowed: one a line")
    return tokens
