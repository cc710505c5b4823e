"""Names of folders in the state directory, made from names that people gave."""

from __future__ import annotations

import re
from hashlib import blake2b


def folder_name(name: str) -> str:
    """Return a file name for ``name``; different for different names, the same for ever."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]
    if safe == name:
        return safe
    return f"{safe}.{blake2b(name.encode('utf-8', 'surrogateescape'), digest_size=4).hexdigest()}"
