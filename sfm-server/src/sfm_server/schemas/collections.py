"""What requests about collections are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

CollectionRole = Literal["serving", "building", "retiring", "kept", "unlisted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionAnswer:
    """One collection of the vector store.

    Attributes:
        name: Its name.
        role: "serving" (it is searched), "building" (it will serve when it is
            complete), "retiring" (it has served until now), "kept" (for going
            back to it, until it is dropped) or "unlisted" (the truth does not
            know it).
        embedder: URL of the embedder whose vectors it holds, or "".
        dimension: Length of its vectors.
        complete: Whether it holds every memory; of one that is kept, whether
            it did when it was last kept current.
        since: When it was given its role, or null.
        done: Memories that the last build of it has dealt with.
        total: Memories that the build has or had to deal with.
        failures: How often in a row the build has failed so far; it is tried again.
        error: Why it failed last, or "".
        chosen: Whether the settings of this server ask for it.
        unusable: Why this server cannot use it, or "".
    """

    name: str
    role: CollectionRole
    embedder: str
    dimension: int
    complete: bool
    since: datetime | None
    done: int
    total: int
    failures: int
    error: str
    chosen: bool
    unusable: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionsAnswer:
    """All collections of the vector store."""

    collections: list[CollectionAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedAnswer:
    """The name of a collection that is gone."""

    dropped: str
