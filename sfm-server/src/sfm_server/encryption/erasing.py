"""Clearing away what a destroyed key has left behind: entries that nobody can read any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sfm_core.clock import Clock
from sfm_core.engine.counting import Counting
from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.walking import namespaces_of, pages_of
from sfm_core.errors import CorruptDataError, EncryptionKeyError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import LINK, MEMORY, PURGE, KeyRange, purge_key
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols.kv import Commit, Entry, KeyValueStore, Write
from sfm_core.resilience import Policy
from sfm_server.encryption.erasures import end_erasure
from sfm_server.encryption.listings import count_committed, remove_listings
from sfm_server.encryption.ring import MasterKey
from sfm_server.encryption.watching import INTERVAL

COMMIT_PATIENCE: Final = Policy().deadline
"""How long a write may be under way that was encrypted before its process let go of a key."""
_PASSES: Final = 10
_LEASE: Final = timedelta(seconds=1)
_FOLLOWED: Final = (MEMORY, LINK)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of what a key had encrypted.

    Attributes:
        removed: How many entries with content were removed, by namespace; those are among
            them whose stores are still to be gone over.
        ended: Whether nothing was left at last.
        uncounted: Namespaces whose counters may be wrong, because others kept writing.
    """

    removed: dict[str, int]
    ended: bool
    uncounted: list[str]


NOTHING_ERASED: Final = Erased(removed={}, ended=True, uncounted=[])


async def count_sealed(store: KeyValueStore, key_id: str, namespaces: Sequence[str]) -> int:
    """Count the entries that are encrypted with a key.

    Args:
        store: An open store, as it is.
        key_id: The master key.
        namespaces: Where to look.

    Returns:
        How many there are.

    Raises:
        BackendError: The store failed.
    """
    count = 0
    for namespace in namespaces:
        async for page in pages_of(store, namespace):
            count += sum(sealed_with(entry.value) == key_id for _, entry in page)
    return count


async def erase(
    store: KeyValueStore,
    reader: KeyValueStore,
    key: MasterKey,
    clock: Clock,
    *,
    progress: Progress | None = None,
) -> Erased:
    """Clear away what is encrypted with a key until nothing more comes, and set counters right.

    Args:
        store: An open store, as it is.
        reader: The same, decrypting.
        key: A master key that was destroyed; by now everybody has let go of it, or some
            writer may put something behind what was cleared.
        clock: Source of time.
        progress: Told how many entries were looked at.

    Returns:
        What was done; where it ended, the note that asks for it is done with.

    Raises:
        BackendError: The store failed. What was removed by then stays removed.
    """
    removed: Counter[str] = Counter()
    ended = False
    for number in range(_PASSES):
        if number:
            await clock.sleep(INTERVAL)
        found = await clear_away(store, key, now=clock.now(), progress=progress)
        removed.update(found)
        ended = not any(found.values())
        if ended:
            break
    uncounted = [name for name in removed if not await _recount(reader, name)]
    if ended:
        await end_erasure(store, key.id)
    return Erased(removed=dict(removed), ended=ended, uncounted=uncounted)


async def clear_away(
    store: KeyValueStore, key: MasterKey, *, now: datetime, progress: Progress | None = None
) -> dict[str, int]:
    """Remove every entry that is encrypted with a key, and have derived stores follow.

    What lists such an entry goes too. Of each memory a note stays that a purge leaves, so
    that all stores are gone over for it. It can be repeated, and goes on where it was.

    Args:
        store: An open store, as it is.
        key: A master key that was destroyed.
        now: The time.
        progress: Told how many entries were looked at.

    Returns:
        How many entries with content were removed, by namespace; those are among them whose
        stores are still to be gone over, also where an earlier attempt has removed all.

    Raises:
        BackendError: The store failed. What was removed by then stays removed.
    """
    found: dict[str, int] = {}
    for namespace in await namespaces_of(store):
        if key.namespace not in {None, namespace}:
            continue
        if await _may_be_left(store, namespace, key) or await _holds(store, namespace, key):
            removed = await remove_listings(store, namespace, key.id)
            found[namespace] = removed + await _clear(
                store, namespace, key, now.astimezone(UTC) + PURGE_PAUSE, progress
            )
    return found


async def _recount(reader: KeyValueStore, namespace: str) -> bool:
    try:
        return await Counting(reader, owner=f"erasing-{uuid4()}", lease=_LEASE).correct(namespace)
    except (EncryptionKeyError, CorruptDataError):
        # What cannot be read cannot be counted; whoever reads it is told.
        return False


async def _may_be_left(store: KeyValueStore, namespace: str, key: MasterKey) -> bool:
    """Tell whether an earlier attempt may have removed all that was encrypted with a key."""
    if key.namespace is not None:
        return True
    [noted] = await store.scan(namespace, [KeyRange.prefix(PURGE)], limit=1)
    return bool(noted)


async def _holds(store: KeyValueStore, namespace: str, key: MasterKey) -> bool:
    async for page in pages_of(store, namespace):
        if any(sealed_with(entry.value) == key.id for _, entry in page):
            return True
    return False


async def _clear(
    store: KeyValueStore,
    namespace: str,
    destroyed: MasterKey,
    due: datetime,
    progress: Progress | None,
) -> int:
    removed = 0
    async for page in pages_of(store, namespace):
        gone = [(key, entry) for key, entry in page if sealed_with(entry.value) == destroyed.id]
        removed += await _remove(store, namespace, gone, due)
        if progress:
            progress(len(page))
    return removed


async def _remove(
    store: KeyValueStore, namespace: str, gone: Sequence[tuple[bytes, Entry]], due: datetime
) -> int:
    """Remove entries, each by itself, and tell how many were still as they were read."""
    commits = [
        Commit(
            namespace=namespace,
            writes=(Write(key, None), *_noted(key, due)),
            expect={key: entry.version},
            dirty=(key,) if key[:1] in _FOLLOWED else (),
        )
        for key, entry in gone
    ]
    return await count_committed(store, commits)


def _noted(key: bytes, due: datetime) -> tuple[Write, ...]:
    if key[:1] != MEMORY:
        return ()
    return (Write(purge_key(due, Coordinate.from_key(key[1:])), b""),)
