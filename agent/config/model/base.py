"""What every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

import msgspec

Bytes = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "bytes"})]
"""A size: a bare number is bytes; ``KiB MiB GiB kB MB GB`` are understood."""

Seconds = Annotated[float, msgspec.Meta(ge=0, extra={"unit": "seconds"})]
"""A duration: a bare number is seconds; ``ms s m h d`` are understood."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the strict local parts of the configuration: an unknown key is an error."""
