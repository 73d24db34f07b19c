"""The commit that brings a memory from one state to the next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sfm_core.engine.truth import MemoryState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventNote, EventType
from sfm_core.model.keys import (
    EPISODE,
    access_key,
    episode_key,
    expiry_key,
    history_key,
    memory_key,
    purge_key,
)
from sfm_core.model.record import MemoryRecord, encode_record
from sfm_core.protocols.kv import Commit, Write

PURGE_PAUSE: Final = timedelta(minutes=1)
"""When a purge is gone over again. Calls that were under way when it was written, and may have
brought something back behind it, have ended by then."""


def memory_commit(
    namespace: str,
    coordinate: Coordinate,
    before: MemoryState,
    after: MemoryRecord,
    *,
    history_limit: int,
    event: EventType | None,
    version: int | None = None,
    at: datetime | None = None,
) -> Commit:
    """Build the commit that brings a memory from one state to the next.

    Args:
        namespace: Where it lives.
        coordinate: Where it lives there.
        before: What the truth says now.
        after: What it is to say.
        history_limit: Replaced versions to keep.
        event: What to log, if anything.
        version: The version to write, above the present one; by default the next.
        at: When the event is logged; by default when `after` was written.

    Returns:
        Every entry, counter, note and event that belongs to the write.
    """
    key = memory_key(coordinate)
    version = before.version + 1 if version is None else version
    writes = [Write(key, encode_record(after), version)]
    floor = max(version - history_limit, after.purged + 1)
    writes += _history_writes(coordinate, before, floor, history_limit)
    old, new = _listings(coordinate, before.record), _listings(coordinate, after)
    writes += [Write(listing, None) for listing in old - new]
    writes += [Write(listing, b"") for listing in new - old]
    if before.record is not None and (after.deleted or after.born == version):
        writes.append(Write(access_key(coordinate), None))
    if before.record is not None and after.purged > before.record.purged:
        writes.append(Write(purge_key(after.updated_at + PURGE_PAUSE, coordinate), b""))
    return Commit(
        namespace=namespace,
        writes=tuple(writes),
        counters=_counts(before.record, after),
        # What followed a place in an episode that is left has lost its context.
        dirty=(key, *(listing for listing in old - new if listing[:1] == EPISODE)),
        events=(EventNote(type=event, key=key, version=version, at=at or after.updated_at),)
        if event
        else (),
    )


def _history_writes(
    coordinate: Coordinate, before: MemoryState, floor: int, limit: int
) -> list[Write]:
    """Keep what is replaced, and let go what is below the version `floor`.

    Of all that was kept before, the oldest was `limit` versions back, tombstones
    included. So what leaves is known without a read.
    """
    if before.record is None:
        return []
    writes: list[Write] = []
    if not before.record.deleted and before.version >= floor:
        encoded = encode_record(before.record)
        writes.append(Write(history_key(coordinate, before.version), encoded, before.version))
    leaving = range(max(1, before.version - limit), min(before.version, floor))
    writes += [Write(history_key(coordinate, gone), None) for gone in leaving]
    return writes


def _listings(coordinate: Coordinate, record: MemoryRecord | None) -> set[bytes]:
    if record is None or record.deleted:
        return set()
    keys: set[bytes] = set()
    if record.expires_at is not None:
        keys.add(expiry_key(record.expires_at, coordinate))
    if record.episode is not None:
        keys.add(episode_key(record.episode.name, record.episode.order, coordinate))
    return keys


def _counts(before: MemoryRecord | None, after: MemoryRecord) -> dict[str, int]:
    counts: dict[str, int] = {}
    if before is not None and not before.deleted:
        counts[before.type] = -1
    if not after.deleted:
        counts[after.type] = counts.get(after.type, 0) + 1
    return {name: count for name, count in counts.items() if count}
