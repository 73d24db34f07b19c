"""Answers about single memories."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sfm_server.schemas.values import Cursor, Json, TypeName, unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The request was carried out."""

    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredItem:
    """A memory of a bulk request that was stored.

    Attributes:
        coord: Where it lives.
        version: The version that was written.
        indexed: Whether recall sees it already; if not, it will soon.
        ok: Always true.
    """

    coord: str
    version: int
    indexed: bool
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer(StoredItem):
    """A memory that was stored.

    Attributes:
        position: What a recall takes as `min_position`, to be answered when it sees this write.
    """

    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """An item of a bulk request that was left out.

    Attributes:
        item: Its place in the request, from 0.
        code: Stable code of the error.
        message: What is wrong with it.
    """

    item: int
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManyAnswer:
    """Memories that were stored.

    Attributes:
        stored: How many.
        results: One entry per item, in order; null where it was left out.
        errors: Why items were left out.
        position: What a recall takes as `min_position`, to be answered when it sees all of them.
    """

    stored: int
    results: list[StoredItem | None]
    errors: list[ItemError] = field(default_factory=list[ItemError])
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeAnswer:
    """Membership in a course of events."""

    name: str
    order: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    """A memory.

    Attributes:
        namespace: The namespace it lives in.
        coord: Where it lives there.
        payload: What was stored.
        type: Kind of memory.
        importance: 0 to 1.
        version: 1 at first, one more at each write.
        created_at: When it was first stored.
        updated_at: When this version was written.
        expires_at: When it ceases to exist, or null.
        episode: The course of events it belongs to, or null.
        access_count: How often it was read or recalled; null where that was not asked for.
        last_accessed_at: When that last happened, or null.
    """

    namespace: str
    coord: str
    payload: Json
    type: TypeName
    importance: float
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    episode: EpisodeAnswer | None = None
    access_count: int | None = None
    last_accessed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """Versions of a memory, the newest first.

    Attributes:
        versions: The versions.
        next_cursor: What asks for the next page; left out on the last.
    """

    versions: list[MemoryAnswer]
    next_cursor: Cursor = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAnswer:
    """How many memories were deleted.

    Attributes:
        deleted: How many.
        ok: Always true.
        position: What a question takes as `min_position`, to be answered when the index
            and the links have followed.
    """

    deleted: int
    ok: bool = True
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedManyAnswer(DeletedAnswer):
    """How many memories were deleted, or would be.

    Attributes:
        matched: How many there were to delete.
        examined: How many were looked at for that.
        dry_run: Whether they were only counted.
        examples: Coordinates of the first of those that a filter or type has picked.
        next_cursor: What asks for the next part, where there is one.
    """

    matched: int = 0
    examined: int = 0
    dry_run: bool = False
    examples: list[str] = field(default_factory=list[str])
    next_cursor: Cursor = field(default_factory=unasked)
