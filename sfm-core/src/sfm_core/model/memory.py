"""Memories: what an agent lived through or knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.payload import Payload

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MemoryType(StrEnum):
    """What kind of memory it is; recall and range can be narrowed to one kind."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Membership in a course of events, such as one conversation.

    The memory that comes just before in the same episode lends its words to
    keyword search, because a turn is often only understood after the one before.

    Attributes:
        name: Name of the episode, unique in its namespace.
        order: Place inside the episode; ties are ordered by coordinate.
    """

    name: str
    order: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """A memory as the caller hands it in.

    Attributes:
        coordinate: Where it is to live. A memory that lives there already is
            replaced and kept as history.
        payload: The JSON object to keep.
        type: Kind of memory.
        importance: 0 (trivial) to 1 (vital); weighs in ranking. `None` keeps
            what the memory had, or 0.5.
        ttl: How long it is to live from now on; `None` is for ever.
        episode: The course of events it belongs to. `None` lets the engine's
            text rule decide.
        expected_version: Write only if the memory is at this version;
            0 means "only if there is none". `None` does not care.
    """

    coordinate: Coordinate
    payload: Payload
    type: MemoryType = MemoryType.EPISODIC
    importance: float | None = None
    ttl: timedelta | None = None
    episode: Episode | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A memory as the truth holds it.

    Attributes:
        namespace: The namespace it lives in.
        coordinate: Where it lives there.
        payload: The JSON object that was stored.
        type: Kind of memory.
        importance: 0 (trivial) to 1 (vital).
        version: 1 at first, one more at each write.
        created_at: When it was first stored (or stored anew after a deletion).
        updated_at: When this version was written.
        expires_at: When it ceases to exist, or `None`.
        episode: The course of events it belongs to, or `None`.
        born: The version that this life of it began with. What is equal otherwise
            is equal, since a copy of it may have begun with another one.
    """

    namespace: str
    coordinate: Coordinate
    payload: Payload
    type: MemoryType
    importance: float
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    episode: Episode | None = None
    born: int = field(default=1, compare=False)

    @property
    def revision(self) -> str:
        """Names this version of this life, among all that ever were at this coordinate."""
        return revision_of(self.born, self.version, self.updated_at)


def revision_of(born: int, version: int, updated_at: datetime) -> str:
    """Return what names one version of one life of a memory.

    Versions alone do not: a memory that was purged begins at 1 again, and of two
    truths that have parted, each may have written the next one.

    Args:
        born: The version that the life began with.
        version: The version.
        updated_at: When it was written.

    Returns:
        Letters, digits and dots.
    """
    return f"{born}.{version}.{(updated_at - _EPOCH) // _MICROSECOND:x}"


def is_first(revision: str) -> bool:
    """Tell whether a revision is the first of its life."""
    born, version, _ = revision.split(".")
    return born == version


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessStatistics:
    """How often a memory was recalled or read.

    Kept beside the memory, flushed every few seconds: a crash may lose the
    counts of that time, never a memory.

    Attributes:
        count: Times it was returned by get or recall.
        last_accessed_at: When that last happened, or `None`.
    """

    count: int = 0
    last_accessed_at: datetime | None = None
