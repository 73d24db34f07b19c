"""What lists, or belongs to, a memory, link or answer that nobody can read any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import uuid4

from sfm_core.engine.walking import pages_of
from sfm_core.model.keys import (
    ACCESS,
    ANSWER_END,
    BACKLINK,
    EPISODE,
    EXPIRY,
    HISTORY,
    MEMORY,
    KeyRange,
    answer_key,
    ended_digest,
    episode_coordinate,
    expiring_coordinate,
    link_key,
    memory_key,
    parse_link_key,
)
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

_LISTINGS: Final = (EXPIRY, EPISODE, BACKLINK, ANSWER_END)
_PARTS: Final = (HISTORY, ACCESS)
_VERSION_BYTES: Final = 8


async def remove_listings(store: KeyValueStore, namespace: str, key_id: str) -> int:
    """Remove what lists or belongs to entries that are encrypted with a key, and go next.

    What lists an entry that is gone is removed, too. An entry that is written anew
    meanwhile keeps what lists it.

    Args:
        store: An open store, as it is.
        namespace: Where to look.
        key_id: A master key that was destroyed.

    Returns:
        How many of what was removed had content: history and statistics.

    Raises:
        BackendError: The store failed. What was removed by then stays removed.
    """
    removed = 0
    for kind in (*_LISTINGS, *_PARTS):
        async for page in pages_of(store, namespace, kind):
            subjects = await _subjects(store, namespace, [key for key, _ in page])
            commits = [
                _removal(namespace, key, entry, subject)
                for (key, entry), subject in zip(page, subjects, strict=True)
                if _goes(kind, subject, key_id)
            ]
            done = await count_committed(store, commits)
            removed += done if kind in _PARTS else 0
    return removed


async def _subjects(
    store: KeyValueStore, namespace: str, keys: Sequence[bytes]
) -> list[tuple[bytes, Entry] | None]:
    """Return what each key lists or belongs to, as far as it is there."""
    found = await store.scan(namespace, [_subject(key) for key in keys], limit=1)
    return [page[0] if page else None for page in found]


def _subject(key: bytes) -> KeyRange:
    kind = key[:1]
    if kind == ANSWER_END:
        return KeyRange.prefix(answer_key(ended_digest(key)))
    if kind == EXPIRY:
        subject = memory_key(expiring_coordinate(key))
    elif kind == EPISODE:
        subject = memory_key(episode_coordinate(key))
    elif kind == BACKLINK:
        subject = link_key(*parse_link_key(key))
    else:
        subject = MEMORY + key[1 : len(key) - (_VERSION_BYTES if kind == HISTORY else 0)]
    return KeyRange(subject, subject + b"\0")


def _goes(kind: bytes, subject: tuple[bytes, Entry] | None, key_id: str) -> bool:
    if subject is None:
        return kind in _LISTINGS
    return sealed_with(subject[1].value) == key_id


def _removal(
    namespace: str, key: bytes, entry: Entry, subject: tuple[bytes, Entry] | None
) -> Commit:
    unchanged = {} if subject is None else {subject[0]: subject[1].version}
    return Commit(
        namespace=namespace,
        writes=(Write(key, None),),
        expect={key: entry.version, **unchanged},
        # What followed in an episode has words of what came before.
        dirty=(key,) if key[:1] == EPISODE else (),
    )


async def count_committed(store: KeyValueStore, commits: Sequence[Commit]) -> int:
    """Commit removals, and count those that nobody was faster than.

    Args:
        store: An open store.
        commits: What to remove.

    Returns:
        How many were committed.

    Raises:
        BackendError: The store failed.
    """
    if not commits:
        return 0
    # Notes without a lease: whoever indexes takes them up at once.
    results = await store.commit(commits, owner=f"erasing-{uuid4()}", lease=timedelta())
    return sum(isinstance(result, Committed) for result in results)
