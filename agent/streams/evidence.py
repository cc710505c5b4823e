"""Which stream a file may belong to, and what speaks for it most. Pure but for comparing bytes.

Where identical bytes allow two readings: a new file at the live path is new, one at a rotated name is a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.streams.family import families, loose_family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.streams.looks import Looks
    from agent.streams.places import Place
    from agent.streams.stream import Stream


def by_evidence(streams: Iterable[Stream], place: Place) -> list[Stream]:
    """Sort the streams that a file may belong to: first those whose bytes are nowhere else, and of these the one whose
    bytes are known best.
    """

    def evidence(stream: Stream) -> tuple[object, ...]:
        apart = abs(stream.mtime_ns - place.mtime_ns)  # compressing keeps the time
        return (stream.path is not None, stream.content is None, -stream.mark_at, apart, -stream.generation)

    return sorted(streams, key=evidence)


def may_continue(stream: Stream, place: Place) -> bool:
    """Tell whether the file's name and inode allow it to be a stream whose path was lost."""
    # The same inode on another device: the disk was renumbered by a reboot or moved to another host.
    if place.compressed or place.inode == stream.inode:
        return True
    # A file made anew under the stream's last name, or at the live path, is new whatever its bytes say.
    return place.path != stream.last_path and (place.rotated or loose_family(place.path) != place.path)


def continues_open(stream: Stream, place: Place, first: bytes, looks: Looks) -> bool:
    """Tell whether the file's bytes are the stream's, as far as its head, its mark and an open descriptor show."""
    if not looks.continues(stream, place, first):
        return False
    # Where every file begins alike, a descriptor that is still open tells more than the mark.
    return stream.content is None or stream.inode == place.inode or looks.same_bytes(stream, stream.content, place)


def may_copy(stream: Stream, place: Place) -> bool:
    """Tell whether the file's name allows it to be a copy of a stream that has its own file."""
    return place.compressed or (place.rotated and stream.path in families(place.path))
