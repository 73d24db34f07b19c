"""Keys of the truth: one letter for the kind of entry, then what identifies it.

=====  ==========================================  =================================
kind   key                                         value
=====  ==========================================  =================================
``m``  coordinate                                  the memory, or its tombstone
``h``  coordinate, version (8 bytes)               a version that was replaced
``a``  coordinate                                  access statistics
``x``  expiry (8 bytes, milliseconds), coordinate  empty
``e``  episode name, NUL, order (8 bytes), coord.  empty
``l``  source, type, NUL, target                   the link, or its tombstone
``r``  target, type, NUL, source                   empty: the link read backwards
``i``  digest of an idempotency key, or with the   what was answered, for as long as
       place of an item in a bulk write (8 bytes)  its version says (milliseconds)
``j``  time (8 bytes, milliseconds), that digest   empty: when answers may go
``p``  time (8 bytes, milliseconds), coordinate    empty: when a purge is gone over again
=====  ==========================================  =================================

Coordinates and numbers are encoded so that bytes sort as the values do, and
every part delimits itself; so each question is one ordered range of keys.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sfm_core.model.coordinate import Coordinate

MEMORY: Final = b"m"
HISTORY: Final = b"h"
ACCESS: Final = b"a"
EXPIRY: Final = b"x"
EPISODE: Final = b"e"
LINK: Final = b"l"
BACKLINK: Final = b"r"
ANSWER: Final = b"i"
ANSWER_END: Final = b"j"
PURGE: Final = b"p"

_POINTS: Final = UUID("9b1d6f8e-5a33-5c0e-8a55-0f6a1f2d7c41")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys from `start` (included) to `end` (excluded), in byte order.

    Attributes:
        start: First key that belongs to the range.
        end: First key that no longer does; `None` is "to the last".
        reverse: Read from the end towards the start.
    """

    start: bytes
    end: bytes | None
    reverse: bool = False

    @classmethod
    def prefix(cls, prefix: bytes, *, reverse: bool = False) -> KeyRange:
        """Return the range of all keys that begin with `prefix`."""
        return cls(prefix, successor(prefix), reverse)


def successor(prefix: bytes) -> bytes | None:
    """Return the first key after all that begin with `prefix`; `None` where there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else None


def memory_key(coordinate: Coordinate) -> bytes:
    """Return the key of the memory at a coordinate."""
    return MEMORY + coordinate.key


def history_key(coordinate: Coordinate, version: int) -> bytes:
    """Return the key under which a replaced version is kept."""
    return HISTORY + coordinate.key + struct.pack(">Q", version)


def history_key_of(key: bytes, version: int) -> bytes:
    """Return the key under which a replaced version of the memory under a key is kept."""
    return HISTORY + key[1:] + struct.pack(">Q", version)


def access_key(coordinate: Coordinate) -> bytes:
    """Return the key of a memory's access statistics."""
    return ACCESS + coordinate.key


def expiry_key(expires_at: datetime, coordinate: Coordinate) -> bytes:
    """Return the key that lists a memory by the time it expires."""
    return EXPIRY + _instant(expires_at) + coordinate.key


def expired_range(now: datetime) -> KeyRange:
    """Return the range of expiry keys that are due at `now`."""
    return KeyRange(EXPIRY, EXPIRY + _instant(now + _MILLISECOND))


def expiring_coordinate(key: bytes) -> Coordinate:
    """Return the coordinate inside an expiry key."""
    return Coordinate.from_key(key[9:])


def episode_key(name: str, order: float, coordinate: Coordinate) -> bytes:
    """Return the key that lists a memory by its place in an episode."""
    return episode_prefix(name) + Coordinate((order + 0.0,)).key[1:] + coordinate.key


def episode_prefix(name: str) -> bytes:
    """Return the prefix of all keys of one episode."""
    return EPISODE + name.encode() + b"\0"


def episode_coordinate(key: bytes) -> Coordinate:
    """Return the coordinate inside an episode key."""
    return Coordinate.from_key(key[key.index(b"\0") + 9 :])


def link_key(source: Coordinate, link_type: str, target: Coordinate) -> bytes:
    """Return the key of a link."""
    return LINK + source.key + link_type.encode() + b"\0" + target.key


def backlink_key(source: Coordinate, link_type: str, target: Coordinate) -> bytes:
    """Return the key that lists a link by its target."""
    return BACKLINK + target.key + link_type.encode() + b"\0" + source.key


def parse_link_key(key: bytes) -> tuple[Coordinate, str, Coordinate]:
    """Take a link key, or a back-link key, apart.

    Args:
        key: A key made by `link_key` or `backlink_key`.

    Returns:
        Source, link type and target of the link.
    """
    split = 2 + 8 * key[1]
    end = key.index(b"\0", split)
    first = Coordinate.from_key(key[1:split])
    second = Coordinate.from_key(key[end + 1 :])
    link_type = key[split:end].decode()
    return (first, link_type, second) if key[:1] == LINK else (second, link_type, first)


def answer_key(digest: bytes, item: int | None = None) -> bytes:
    """Return the key of what a write has answered, or of what one item of it has."""
    return ANSWER + digest + (b"" if item is None else struct.pack(">Q", item))


def answer_end_key(milliseconds: int, digest: bytes) -> bytes:
    """Return the key that lists what was answered by the time when it may go."""
    return ANSWER_END + struct.pack(">q", milliseconds) + digest


def ended_answers(milliseconds: int) -> KeyRange:
    """Return the range of keys that list what may go at a time."""
    return KeyRange(ANSWER_END, answer_end_key(milliseconds + 1, b""))


def ended_digest(key: bytes) -> bytes:
    """Return the digest inside a key that lists when answers may go."""
    return key[9:]


def purge_key(due: datetime, coordinate: Coordinate) -> bytes:
    """Return the key that lists a purged memory by the time when it is gone over again."""
    return PURGE + _instant(due) + coordinate.key


def due_purges(now: datetime) -> KeyRange:
    """Return the range of keys that list what is to be gone over at a time."""
    return KeyRange(PURGE, PURGE + _instant(now + _MILLISECOND))


def purged_coordinate(key: bytes) -> Coordinate:
    """Return the coordinate inside a key that lists a purged memory."""
    return Coordinate.from_key(key[9:])


def milliseconds_of(moment: datetime) -> int:
    """Return a time as whole milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def point_id(namespace: str, coordinate: Coordinate) -> UUID:
    """Return the id of a memory in every vector store: UUIDv5 of namespace and coordinate.

    A stable id means that one memory can never become two points.
    """
    return uuid5(_POINTS, f"{namespace}\0{coordinate}")


def _instant(moment: datetime) -> bytes:
    return struct.pack(">q", milliseconds_of(moment))
