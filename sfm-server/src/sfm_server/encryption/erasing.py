"""Clearing away what a destroyed key has left behind: entries that nobody can read any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.walking import namespaces_of, pages_of
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import LINK, MEMORY, PURGE, KeyRange, purge_key
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write
from sfm_server.encryption.key_format import StoredKey

_LEASE = timedelta(seconds=1)
_FOLLOWED = (MEMORY, LINK)

Progress = Callable[[int], None]


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


async def clear_away(
    store: KeyValueStore, key: StoredKey, *, now: datetime, progress: Progress | None = None
) -> dict[str, int]:
    """Remove every entry that is encrypted with a key, and have derived stores follow.

    Where nothing else is left in a namespace, what lists its memories goes too, and its
    counters are zero. Of each memory a note stays that a purge leaves, so that all stores
    are gone over for it. It can be repeated, and goes on where it was.

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
        removed = await _clear(store, namespace, key, now + PURGE_PAUSE, progress)
        if removed or await _may_be_left(store, namespace, key):
            found[namespace] = removed
    return found


async def _may_be_left(store: KeyValueStore, namespace: str, key: StoredKey) -> bool:
    """Tell whether an earlier attempt may have removed all that was encrypted with a key."""
    if key.namespace is not None:
        return namespace == key.namespace
    [noted] = await store.scan(namespace, [KeyRange.prefix(PURGE)], limit=1)
    return bool(noted)


async def _clear(
    store: KeyValueStore,
    namespace: str,
    destroyed: StoredKey,
    due: datetime,
    progress: Progress | None,
) -> int:
    removed, others = 0, False
    async for page in pages_of(store, namespace):
        gone = [(key, entry) for key, entry in page if sealed_with(entry.value) == destroyed.id]
        done = await _remove(store, namespace, gone, due)
        removed += done
        others = others or done < len(gone) or any(e.value for e in _rest(page, gone))
        if progress:
            progress(len(page))
    # Of its own namespace also where an earlier attempt has removed the entries already.
    if not others and (removed or namespace == destroyed.namespace):
        await _clear_lists(store, namespace, due)
    return removed


async def _clear_lists(store: KeyValueStore, namespace: str, due: datetime) -> None:
    async for page in pages_of(store, namespace):
        lists = [one for one in page if not one[1].value and one[0][:1] != PURGE]
        await _remove(store, namespace, lists, due)
    left = {name: -value for name, value in (await store.counters(namespace)).items() if value}
    if left:
        commit = Commit(namespace=namespace, counters=left)
        await store.commit([commit], owner=_owner(), lease=_LEASE)


def _rest(page: Sequence[tuple[bytes, Entry]], gone: Sequence[tuple[bytes, Entry]]) -> list[Entry]:
    keys = {key for key, _ in gone}
    return [entry for key, entry in page if key not in keys]


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
    if not commits:
        return 0
    # Notes without a lease: whoever indexes takes them up at once.
    results = await store.commit(commits, owner=_owner(), lease=timedelta())
    return sum(isinstance(result, Committed) for result in results)


def _noted(key: bytes, due: datetime) -> tuple[Write, ...]:
    if key[:1] != MEMORY:
        return ()
    return (Write(purge_key(due, Coordinate.from_key(key[1:])), b""),)


def _owner() -> str:
    return f"erasing-{uuid4()}"
