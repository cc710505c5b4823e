"""When a sender that was asked to wait may come again."""

from __future__ import annotations

import random


def retry_after(low: int, high: int) -> dict[str, str]:
    """Return the header, with seconds between ``low`` and ``high``: senders must not come back all at once."""
    return {"Retry-After": str(random.randint(low, high))}  # noqa: S311 # no secret
