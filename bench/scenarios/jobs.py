"""The scenarios that ship a number of lines as fast as it goes."""

from __future__ import annotations

from bench.job import Job
from bench.lines import TENTH, Input

SHIPPERS = ("agent", "rsyslog-http", "syslog-ng")
ALL = ("agent", "rsyslog-http", "rsyslog-tcp", "syslog-ng", "script", "script-orjson")
HALF = Input(lines=500_000)

JOBS = (
    Job(name="bulk-500", title="1,000,000 JSON lines of 365 bytes, 500 a transaction", contestants=ALL),
    Job(
        name="bulk-5000",
        title="1,000,000 JSON lines of 365 bytes, 5,000 a transaction",
        per_transaction=5000,
        delivery={"max_bytes": "8MiB", "queue_max_bytes": "16MiB"},
        contestants=("agent", "rsyslog-http", "syslog-ng", "script-orjson"),
    ),
    Job(
        name="text",
        title="1,000,000 lines of text, 180 bytes",
        input=Input(form="text", size=180),
        source={"format": "text"},
        contestants=("agent", "rsyslog-tcp", "syslog-ng"),
    ),
    Job(
        name="long-lines",
        title="500,000 JSON lines of 1 kB",
        input=Input(lines=500_000, size=1000),
        contestants=(*SHIPPERS, "script-orjson"),
    ),
    Job(
        name="filter",
        title="1,000,000 JSON lines, a filter drops 90 %",
        input=Input(form="mixed"),
        destination={"filters": [{"filter_type": "subsystem", "value": TENTH}]},
        passed=0.1,
    ),
    Job(
        name="retries",
        title="500,000 JSON lines, an answer for each event, 1 % wanted again",
        input=HALF,
        retry_percent=1,
        delivery={"retry": {"base": "10ms", "cap": "100ms"}},
    ),
    Job(name="file", title="1,000,000 JSON lines to a file", to="file", plot=("events_per_second", "cpu_per_million")),
    Job(name="destinations-1", title="500,000 JSON lines to 1 destination", input=HALF),
    Job(name="destinations-3", title="500,000 JSON lines to each of 3 destinations", input=HALF, destinations=3),
    Job(
        name="destinations-10",
        title="200,000 JSON lines to each of 10 destinations",
        input=Input(lines=200_000),
        destinations=10,
    ),
    Job(
        name="files-100",
        title="1,000,000 JSON lines in 100 files",
        input=Input(files=100),
        contestants=SHIPPERS,
    ),
    Job(
        name="gz",
        title="1,000,000 JSON lines in a .gz file, backfill",
        input=Input(compressed=True),
        command=("backfill", "--no-progress"),
    ),
    Job(name="tls", title="500,000 JSON lines over TLS (to a sink in Python)", input=HALF, to="https"),
    Job(name="gzip", title="500,000 JSON lines in compressed bodies", input=HALF, delivery={"gzip": True}),
)
