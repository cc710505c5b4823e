"""``python -m tests.torture --seed N --minutes M``: writes, rotates, kills, refuses, throttles; then judges.

Exit code 1 on a finding; the working folder is kept then.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.torture.run import Limits, torture


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", default="", metavar="TEXT,…", help="only faults whose name contains one of these")
    parser.add_argument("--without", default="", metavar="TEXT,…", help="no faults whose name contains one of these")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # nothing is left running or mounted
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    found = torture(
        folder,
        arguments.seed,
        arguments.minutes * 60,
        limits=Limits(only=_texts(arguments.only), without=_texts(arguments.without)),
    )
    if found:
        print(f"seed {arguments.seed}: {len(found)} findings; kept: {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"seed {arguments.seed}: no finding")
    return 0


def _texts(option: str) -> tuple[str, ...]:
    return tuple(text for text in option.split(",") if text)


if __name__ == "__main__":
    sys.exit(main())
