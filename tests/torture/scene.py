"""What takes part in one run: logs, agent, destinations, the network between them, and the configuration."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any

from tests.support.processes import write_config
from tests.torture.disk import Disk
from tests.torture.journal import Journal
from tests.torture.proxy import Proxy
from tests.torture.pusher import Pusher
from tests.torture.receiver import ReceiverProcess
from tests.torture.seen import Seen, Tail, archived, stored
from tests.torture.supervised import Supervised
from tests.torture.writers import KINDS, Log

if TYPE_CHECKING:
    from pathlib import Path

LOGS = 12
NETWORKED = ("sink", "second")
ARCHIVE = "archive"
_RETRY = {"base": "50ms", "cap": "500ms", "probe": "200ms"}


class Scene:
    """Everything below one folder; ``close`` ends it all."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Lay everything out; starts nothing but the network."""
        self.folder = folder
        self.journal = Journal(folder / "journal.txt")
        self.disk = Disk(folder / "state")
        self.settings: dict[str, Any] = {}
        """What a reload changes: see ``configure``."""
        self.mended = 0.0
        """When everything was mended (``time.monotonic()``)."""
        chance = random.Random(f"{seed} logs")
        self.logs = []
        for number in range(LOGS):
            path = folder / "logs" / f"d{number % 3}" / f"app{chr(97 + number)}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.logs.append(Log(path, list(KINDS)[number % len(KINDS)], chance))
        self.receivers = {name: ReceiverProcess(folder, name, port=_free_port(chance), seed=seed) for name in NETWORKED}
        self.proxies = {name: Proxy(self.receivers[name].port).__enter__() for name in NETWORKED}
        self.pusher = Pusher(folder / "push.sock", seed)
        self.config = folder / "config.yaml"
        self.configure()
        self.agent = Supervised(self.config, self.journal)
        self.seen = [self._seen(name) for name in (*NETWORKED, ARCHIVE)]

    def _seen(self, name: str) -> Seen:
        rejects = Tail(self.folder / "state" / "state" / "rejects" / name, "*.jsonl")
        if name == ARCHIVE:
            tail = Tail(self.folder / "archive", "audit*.jsonl")
            return Seen(name, lambda: archived(tail), rejects, by_read_time=True)
        tail = Tail(self.folder, f"{name}.received")
        return Seen(name, lambda: stored(tail), rejects)

    def configure(self, **changes: Any) -> None:
        """Write the configuration, with ``changes`` to what it was before."""
        self.settings |= changes
        part = self.config.with_suffix(".part")
        write_config(
            part,
            agent={
                "state_dir": str(self.folder / "state" / "state"),
                "shutdown_grace_seconds": 2,
                "log_format": "json",
                "org_id": self.settings.get("org_id", "o-1"),
            },
            hold={"max_bytes": "24MiB"},
            sources=[
                {
                    "name": "app",
                    "include": [f"{self.folder}/logs/{folder}/**/*.log" for folder in self.settings.get("of", ["*"])],
                    "poll_interval": "1s",
                    **self.settings.get("app", {}),
                },
                {
                    "name": "push",
                    "type": "http",
                    "listen": f"unix:{self.folder}/push.sock",
                    "spool": {"max_bytes": "8MiB"},
                    **self.settings.get("push", {}),
                },
            ],
            destinations=[
                *(self._webhook(name) for name in NETWORKED),
                {
                    "name": ARCHIVE,
                    "destination_type": "file",
                    "location": f"{self.folder}/archive/audit.jsonl?max_size=8MiB&max_backups=100000",
                },
            ],
        )
        part.rename(self.config)

    def _webhook(self, name: str) -> dict[str, Any]:
        delivery = {"retry": _RETRY, "timeout": "5s", "proxy": "none", "queue_max_bytes": "4MiB"}
        return {
            "name": name,
            "destination_type": "webhook",
            "location": f"http://127.0.0.1:{self.proxies[name].port}/hook",
            "max_events_per_transaction": self.settings.get(f"{name} events", 200),
            "delivery": delivery | self.settings.get(f"{name} delivery", {}),
        }

    def start(self) -> None:
        """Start receivers, then the agent."""
        for receiver in self.receivers.values():
            receiver.start()
        for receiver in self.receivers.values():
            receiver.wait()
        self.agent.start()

    def look(self) -> None:
        """Bring up to date what each destination has."""
        for seen in self.seen:
            seen.look()

    def close(self) -> None:
        """End every process and thread."""
        self.pusher.stop()
        self.agent.close()
        for receiver in self.receivers.values():
            receiver.kill()
        for proxy in self.proxies.values():
            proxy.__exit__()
        for log in self.logs:
            log.close()
        self.journal.close()


def _free_port(chance: random.Random) -> int:
    """Return a port that nobody listens at, outside of what the system hands out by itself."""
    while True:
        port = chance.randrange(12000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
