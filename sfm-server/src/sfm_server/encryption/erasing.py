"""Clearing away what a destroyed key has left behind: entries that nobody can read any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import uuid4

from sfm_core.engine.walking import namespaces_of, pages_of
from sfm_core.model.keys import LINK, MEMORY
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


async def clear_away(store: KeyValueStore, key: StoredKey, progress: Progress | None = None) -> int:
    """Remove every entry that is encrypted with a key, and have derived stores follow.

    Where nothing else is left in a namespace, what lists its memories goes too, and its
    counters are zero. It can be repeated, and goes on where it was.

    Args:
        store: An open store, as it is.
        key: A master key that was destroyed.
        progress: Told how many entries were looked at.

    Returns:
        How many entries with content were removed.

    Raises:
        BackendError: The store failed. What was removed by then stays removed.
    """
    removed = 0
    for namespace in await namespaces_of(store):
        removed += await _clear(store, namespace, key, progress)
    return removed


async def _clear(
    store: KeyValueStore, namespace: str, destroyed: StoredKey, progress: Progress | None
) -> int:
    removed, others = 0, False
    async for page in pages_of(store, namespace):
        gone = [(key, entry) for key, entry in page if sealed_with(entry.value) == destroyed.id]
        done = await _remove(store, namespace, gone)
        removed += done
        others = others or done < len(gone) or any(e.value for e in _rest(page, gone))
        if progress:
            progress(len(page))
    # Of its own namespace also where an earlier attempt has removed the entries already.
    if not others and (removed or namespace == destroyed.namespace):
        async for page in pages_of(store, namespace):
            await _remove(store, namespace, [one for one in page if not one[1].value])
        left = {name: -value for name, value in (await store.counters(namespace)).items() if value}
        if left:
            commit = Commit(namespace=namespace, counters=left)
            await store.commit([commit], owner=_owner(), lease=_LEASE)
    return removed


def _rest(page: Sequence[tuple[bytes, Entry]], gone: Sequence[tuple[bytes, Entry]]) -> list[Entry]:
    keys = {key for key, _ in gone}
    return [entry for key, entry in page if key not in keys]


async def _remove(store: KeyValueStore, namespace: str, gone: Sequence[tuple[bytes, Entry]]) -> int:
    """Remove entries, each by itself, and tell how many were still as they were read."""
    commits = [
        Commit(
            namespace=namespace,
            writes=(Write(key, None),),
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


def _owner() -> str:
    return f"erasing-{uuid4()}"
