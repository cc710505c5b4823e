"""Which files stay open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.streams.content import Plain
from agent.streams.handles import Handles, Pool
from agent.streams.stream import Stream

if TYPE_CHECKING:
    from pathlib import Path


def stream(folder: Path, name: str) -> Stream:
    path = folder / name
    path.touch()
    return Stream(
        id=name,
        source="s",
        family=str(path),
        head=b"",
        head_bytes=0,
        generation=0,
        path=str(path),
        last_path=str(path),
        device=0,
        inode=0,
        size=0,
    )


def opened(handles: Handles, found: Stream) -> Stream:
    handles.keep(found, Plain(found.last_path))
    return found


def test_sources_share_one_bound_and_the_file_used_longest_ago_goes_first(tmp_path: Path) -> None:
    pool = Pool(most=3)
    one, two = Handles(pool), Handles(pool)
    a, b, c = (opened(h, stream(tmp_path, n)) for h, n in ((one, "a"), (two, "b"), (one, "c")))
    one.get(a)
    d = opened(two, stream(tmp_path, "d"))
    assert b.content is None
    assert None not in (a.content, c.content, d.content)
    assert (len(one), len(two)) == (2, 1)
    one.close_all()
    assert d.content is not None
    two.close_all()


def test_a_file_without_a_path_is_not_closed_to_make_room(tmp_path: Path) -> None:
    pool = Pool(most=1)
    handles = Handles(pool)
    gone = opened(handles, stream(tmp_path, "gone"))
    gone.path = None
    other = opened(handles, stream(tmp_path, "other"))
    assert gone.content is not None
    assert pool.make_room()
    assert (gone.content is not None, other.content is None) == (True, True)
    assert not pool.make_room()
    handles.close_all()
