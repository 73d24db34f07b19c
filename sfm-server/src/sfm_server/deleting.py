"""Deleting many memories, the same over HTTP and for a memory in this process."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.cursor import cursor_of, place_of
from sfm_core.model.filters import parse_filter
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import MemoryType
from sfm_core.model.selection import Selection
from sfm_server import wire_purges
from sfm_server.pages import coordinate_of
from sfm_server.picked import Picked
from sfm_server.schemas.memories import DeletedManyAnswer


async def delete_at(
    engine: MemoryEngine,
    namespace: str,
    coordinates: Sequence[Coordinate],
    *,
    key: IdempotencyKey | None,
    dry_run: bool,
) -> DeletedManyAnswer:
    """Delete the memories at some coordinates, or count them; see `MemoryEngine.delete_many`."""
    if dry_run:
        found = await engine.get_many(namespace, coordinates)
        there = {one.coordinate for one in found if one is not None}
        return DeletedManyAnswer(
            deleted=0, matched=len(there), examined=len(coordinates), dry_run=True
        )
    removed = await engine.delete_many(namespace, coordinates, idempotency_key=key)
    return DeletedManyAnswer(
        deleted=removed.count,
        matched=removed.count,
        examined=len(coordinates),
        position=str(removed.position),
    )


async def delete_picked(
    engine: MemoryEngine,
    namespace: str,
    picked: Picked,
    *,
    key: IdempotencyKey | None,
    dry_run: bool,
    purge: bool = False,
) -> DeletedManyAnswer:
    """Delete what a filter picks, or count it; see `MemoryEngine.delete_matching`.

    Args:
        engine: Where.
        namespace: Where there.
        picked: What picks the memories.
        key: Has it happen once.
        dry_run: Whether only to count.
        purge: Whether to purge it, and to report on each store.

    Returns:
        What was done.

    Raises:
        InvalidInputError: Nothing says what is meant.
    """
    selection = Selection(
        filter=parse_filter(picked.filters),
        type=None if picked.type is None else MemoryType(picked.type),
    )
    listing = (
        "delete",
        namespace,
        picked.filters,
        picked.type,
        dry_run,
        *(("purge",) if purge else ()),
    )
    cleared = await engine.delete_matching(
        namespace,
        selection,
        after=place_of(picked.cursor, coordinate_of, *listing),
        limit=picked.limit,
        dry_run=dry_run,
        purge=purge,
        idempotency_key=key,
    )
    last = cleared.next_after
    answer = DeletedManyAnswer(
        deleted=cleared.deleted,
        matched=cleared.matched,
        examined=cleared.examined,
        dry_run=dry_run,
        examples=[str(one) for one in cleared.examples],
        position=str(cleared.position),
        next_cursor=UNSET if last is None else cursor_of(str(last), *listing),
    )
    return answer if cleared.purged is None else wire_purges.purged_many(answer, cleared.purged)
