"""Making one truth hold exactly what another one holds.

Both are read in the order of their keys, a page at a time, and only what
differs is written. So a copy that was interrupted goes on where it was, a
second one writes nothing, and the memory that is needed does not grow with the
truth. Entries travel as they are: versions, history, links, expiry, importance,
access statistics and tombstones, and what was answered under idempotency keys,
so that a write can be repeated after a move, and what is still to be done for
purges. The last two are not part of what a truth holds, so no digest counts them.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple

from sfm_core.engine.event_marks import note_trimmed, read_published, trimmed_through
from sfm_core.engine.portions import MOST
from sfm_core.engine.walking import entries_of, merge, namespaces_of
from sfm_core.errors import BackendUnavailableError, CorruptDataError
from sfm_core.model.events import START
from sfm_core.model.keys import ANSWER, ANSWER_END, LINK, MEMORY, PURGE
from sfm_core.model.report import TruthSummary
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

_MAX_WRITE_BYTES = 8 << 20
_LEASE = timedelta(seconds=1)
_NOT_HELD = frozenset({ANSWER, ANSWER_END, PURGE})

Progress = Callable[[int], None]
"""Called with the number of entries that were dealt with since the last call."""

Guard = Callable[[], Awaitable[None]]
"""Called before each write; raises where this process must not write any more."""


class Pair(NamedTuple):
    """One key, and what stands under it in each truth; `None` where nothing does."""

    key: bytes
    source: Entry | None
    target: Entry | None


class Copied(NamedTuple):
    """What a copy wrote, removed and found unchanged."""

    written: int
    removed: int
    unchanged: int


async def copy_entries(
    source: KeyValueStore,
    target: KeyValueStore,
    owner: str,
    *,
    guard: Guard,
    progress: Progress | None = None,
) -> Copied:
    """Make the target's entries and counters those of the source.

    Args:
        source: The truth to copy; should not change meanwhile.
        target: The truth to change; must not be written by others meanwhile.
        owner: Who copies.
        guard: Asked before each write.
        progress: Told how many entries were dealt with.

    Returns:
        What was done.

    Raises:
        BackendUnavailableError: A truth did not answer, or the target is
            written by others. What was copied by then stays.
        BackendError: A truth failed otherwise.
    """
    count: Counter[str] = Counter()
    for namespace in await namespaces_of(source, target):
        batch = _Batch(target, namespace, owner, guard)
        async for pair in pairs(source, target, namespace):
            what = _difference(pair)
            count[what] += 1
            if what != "unchanged":
                await batch.add(pair)
            if progress:
                progress(1)
        await batch.write()
        await guard()
        await _copy_counters(source, target, namespace, owner)
    return _copied(count)


async def count_differences(
    source: KeyValueStore, target: KeyValueStore, progress: Progress | None = None
) -> Copied:
    """Tell what a copy would write and remove; change nothing.

    Args:
        source: The truth to copy.
        target: The truth that would be changed.
        progress: Told how many entries were dealt with.

    Returns:
        What would be done.

    Raises:
        BackendError: A truth failed.
    """
    count: Counter[str] = Counter()
    for namespace in await namespaces_of(source, target):
        async for pair in pairs(source, target, namespace):
            count[_difference(pair)] += 1
            if progress:
                progress(1)
    return _copied(count)


async def copy_events(
    source: KeyValueStore, target: KeyValueStore, owner: str, *, guard: Guard
) -> int:
    """Make the target's event log what the source has not published yet.

    The source holds, or has published, everything that was in the target's own
    log, because it took over from it; so that log is dropped first. What the
    source has published stays behind, and the target says that it is gone.

    Args:
        source: The truth to copy.
        target: The truth to change.
        owner: Who copies.
        guard: Asked before each write.

    Returns:
        How many events were copied.

    Raises:
        BackendError: A truth failed. Copying once more begins anew.
    """
    published, _ = await read_published(source)
    for gone in (await trimmed_through(source), published.latest):
        if gone is not None:
            await guard()
            await note_trimmed(target, owner, gone)
    while old := await target.read_events(after=START, limit=MOST):
        await guard()
        await target.trim_events(through=old[-1].position)
    copied = 0
    after = published.position
    while logged := await source.read_events(after=after, limit=MOST):
        await guard()
        commits = [Commit(namespace=event.namespace, events=(event.note,)) for event in logged]
        await target.commit(commits, owner=owner, lease=_LEASE)
        copied += len(logged)
        after = logged[-1].position
    return copied


async def summarise(kv: KeyValueStore, progress: Progress | None = None) -> TruthSummary:
    """Read everything that a truth holds and digest it.

    Args:
        kv: The truth.
        progress: Told how many entries were read.

    Returns:
        Numbers and a digest that are the same for the same content.

    Raises:
        BackendError: The truth failed.
    """
    digest = hashlib.blake2b(digest_size=16)
    kinds: Counter[bytes] = Counter()
    spaces = 0
    for namespace in await namespaces_of(kv):
        before = kinds.total()
        async for key, entry in entries_of(kv, namespace):
            if key[:1] in _NOT_HELD:
                continue
            kinds[key[:1]] += 1
            _feed(digest, namespace.encode(), key, struct.pack(">Q", entry.version), entry.value)
            if progress:
                progress(1)
        for name, value in sorted((await kv.counters(namespace)).items()):
            if value:
                _feed(digest, namespace.encode(), name.encode(), struct.pack(">q", value))
        spaces += kinds.total() > before
    return TruthSummary(
        namespaces=spaces,
        entries=kinds.total(),
        memories=kinds[MEMORY],
        links=kinds[LINK],
        digest=digest.hexdigest(),
    )


async def verify(
    source: KeyValueStore, target: KeyValueStore, progress: Progress | None = None
) -> TruthSummary:
    """Read both truths and see that they hold the same.

    Args:
        source: One truth.
        target: The other.
        progress: Told how many entries were read.

    Returns:
        What both hold.

    Raises:
        CorruptDataError: They do not hold the same.
        BackendError: A truth failed.
    """
    wanted = await summarise(source, progress)
    found = await summarise(target, progress)
    if wanted != found:
        raise CorruptDataError(
            f"The copy has {found.entries} entries with the digest {found.digest}, "
            f"the original {wanted.entries} with {wanted.digest}.",
            backend=target.scheme,
            remedy="See that nothing else writes to either of them, and migrate again.",
        )
    return found


async def pairs(
    source: KeyValueStore, target: KeyValueStore, namespace: str, kinds: Sequence[bytes] = ()
) -> AsyncGenerator[Pair]:
    """Pair up what two truths hold in a namespace, in the order of keys.

    Args:
        source: One truth.
        target: The other.
        namespace: Where to read.
        kinds: Only keys that begin with one of these, in ascending order; all by default.

    Yields:
        One pair per key that is in either of them.
    """
    for kind in kinds or (b"",):
        merged = merge(entries_of(source, namespace, kind), entries_of(target, namespace, kind))
        async for key, mine, theirs in merged:
            yield Pair(key, mine, theirs)


def _copied(count: Counter[str]) -> Copied:
    return Copied(count["written"], count["removed"], count["unchanged"])


def _difference(pair: Pair) -> str:
    if pair.source is None:
        return "removed"
    return "unchanged" if pair.source == pair.target else "written"


class _Batch:
    """Changes of one namespace that are written together."""

    def __init__(self, target: KeyValueStore, namespace: str, owner: str, guard: Guard) -> None:
        self._guard = guard
        self._target = target
        self._namespace = namespace
        self._owner = owner
        self._writes: list[Write] = []
        self._expect: dict[bytes, int] = {}
        self._bytes = 0

    async def add(self, pair: Pair) -> None:
        """Make the target's entry the source's, now or with the others of the batch."""
        self._expect[pair.key] = pair.target.version if pair.target else 0
        if pair.source is None:
            self._writes.append(Write(pair.key, None))
        else:
            self._writes.append(Write(pair.key, pair.source.value, pair.source.version))
            self._bytes += len(pair.source.value)
        if len(self._writes) == MOST or self._bytes > _MAX_WRITE_BYTES:
            await self.write()

    async def write(self) -> None:
        """Write what has come together."""
        if not self._writes:
            return
        await self._guard()
        commit = Commit(namespace=self._namespace, writes=tuple(self._writes), expect=self._expect)
        [result] = await self._target.commit([commit], owner=self._owner, lease=_LEASE)
        if not isinstance(result, Committed):
            raise BackendUnavailableError(
                f"Something else writes to the namespace {self._namespace!r} of the new truth.",
                backend=self._target.scheme,
                remedy="Stop the servers that run on it and start again: what was copied stays.",
            )
        self._writes, self._expect, self._bytes = [], {}, 0


async def _copy_counters(
    source: KeyValueStore, target: KeyValueStore, namespace: str, owner: str
) -> None:
    wanted, found = await source.counters(namespace), await target.counters(namespace)
    missing = {name: wanted.get(name, 0) - found.get(name, 0) for name in {*wanted, *found}}
    changes = {name: amount for name, amount in missing.items() if amount}
    if changes:
        commit = Commit(namespace=namespace, counters=changes)
        await target.commit([commit], owner=owner, lease=_LEASE)


def _feed(digest: hashlib.blake2b, *parts: bytes) -> None:
    # With its length before it, no part can pass for the end of another.
    for part in parts:
        digest.update(struct.pack(">I", len(part)))
        digest.update(part)
