"""The quick decompressor of gzip: what is read with it is what is read without it, whatever the file holds."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.streams.content import Compressed
from agent.streams.unpack import DAMAGED, has_quick

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 1 << 16
TEXT = b"".join(b"%d %s\n" % (n, random.Random(n).randbytes(n % 90).hex().encode()) for n in range(9_000))

members = st.builds(
    lambda start, size, level, padding: gzip.compress(TEXT[start : start + size], level) + bytes(padding),
    st.integers(0, len(TEXT)),
    st.sampled_from((0, 1, 17, 5_000, 400_000)),
    st.sampled_from((0, 1, 6, 9)),
    st.sampled_from((0, 0, 1, 700)),
)
damages = st.tuples(st.sampled_from(("none", "cut", "flip", "foreign")), st.floats(0, 1, exclude_max=True))


def damaged(data: bytes, how: str, where: float) -> bytes:
    at = int(where * len(data))
    if how == "cut":
        return data[:at]
    if how == "flip":
        return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
    return data + b"no gzip" * (how == "foreign")


def turns(content: Compressed, step: int) -> Iterator[bytes | None]:
    """Read a member as a lane does: yield what each turn gives, None where it only came nearer."""
    at = 0
    while True:
        data = content.read(at, step) if content.approach(at, most=MOST) else None
        if data == b"":
            return
        yield data
        at += len(data or b"")


def told(path: Path, *, quick: bool, step: int) -> tuple[bytes, type[Exception] | None, int | None]:
    """Read a member; return the bytes, the error that ended them, and the length as known then."""
    content, parts, error = Compressed(str(path), quick=quick), list[bytes | None](), None
    try:
        parts.extend(turns(content, step))
    except DAMAGED as raised:
        error = type(raised)
    finally:
        content.close()
    return b"".join(part or b"" for part in parts), error, content.length()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(members, min_size=1, max_size=3), damage=damages, step=st.sampled_from((4_000, 1 << 20)))
def test_a_file_is_read_alike_whole_or_damaged(
    tmp_path: Path, parts: list[bytes], damage: tuple[str, float], step: int
) -> None:
    path = tmp_path / "a.log.1.gz"
    path.write_bytes(damaged(b"".join(parts), *damage))
    assert told(path, quick=True, step=step) == told(path, quick=False, step=step)


def test_a_header_with_a_wrong_checksum_is_no_damage(tmp_path: Path) -> None:
    packed = gzip.compress(TEXT)
    path = tmp_path / "a.log.1.gz"
    path.write_bytes(packed[:3] + b"\x02" + packed[4:10] + b"zz" + packed[10:])
    assert told(path, quick=True, step=1 << 20) == (TEXT, None, len(TEXT))


def test_the_bytes_before_damage_are_looked_for_anew_in_turns(tmp_path: Path) -> None:
    path = tmp_path / "a.log.1.gz"
    data = TEXT * 8
    path.write_bytes(gzip.compress(data, 1)[:-9])
    content, given = Compressed(str(path)), list[bytes | None]()
    with pytest.raises(EOFError):
        given.extend(turns(content, MOST))
    content.close()
    assert b"".join(part or b"" for part in given) == data
    assert given.count(None) > (len(data) - (1 << 21)) // MOST, "one turn lasted until the damage was found again"


def test_without_the_quick_one_members_are_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.log.1.gz"
    path.write_bytes(gzip.compress(b"one\n"))
    assert has_quick(str(path))
    script = (
        "import sys; sys.modules['isal'] = None\n"
        "from agent.streams.content import open_content\n"
        "from agent.streams.unpack import has_quick\n"
        f"print(has_quick({str(path)!r}), open_content({str(path)!r}).read(0, 10))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False b'one\\n'"
