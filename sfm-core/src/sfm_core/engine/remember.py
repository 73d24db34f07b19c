"""The write path: from a new memory to a commit in the truth, then to the indexer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import msgspec

from sfm_core.engine.committer import Change, Planned, View
from sfm_core.engine.inputs import (
    check_batch,
    check_episode,
    check_expected,
    check_importance,
    check_namespace,
    check_ttl,
)
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.engine.writer import Outcome, Writer
from sfm_core.errors import NotFoundError, SfmError, VersionConflictError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventNote, EventType
from sfm_core.model.keys import (
    EPISODE,
    access_key,
    episode_key,
    expiry_key,
    history_key,
    memory_key,
)
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.model.names import MAX_NAME_BYTES
from sfm_core.model.payload import encode_payload
from sfm_core.model.record import MemoryRecord, encode_record
from sfm_core.model.report import Stored
from sfm_core.protocols.kv import Commit, Write
from sfm_core.text.composing import conversation_turn


class Remembering:
    """Stores memories."""

    def __init__(self, stores: Stores, truth: Truth, writer: Writer) -> None:
        """Write through `writer`."""
        self._stores = stores
        self._truth = truth
        self._writer = writer
        self._last_given = 0

    async def store(self, namespace: str, memory: NewMemory) -> Stored:
        """Store one memory; see `MemoryEngine.store`."""
        change = self.store_change(check_namespace(namespace), memory)
        return _stored(memory.coordinate, await self._writer.write(change))

    async def store_many(
        self, namespace: str, memories: Sequence[NewMemory]
    ) -> list[Stored | SfmError]:
        """Store many memories; see `MemoryEngine.store_many`."""
        check_batch(memories, self._stores.settings.limits.max_batch, field="items")
        check_namespace(namespace)
        changes = [
            self.store_change(namespace, memory, field=f"items[{at}].")
            for at, memory in enumerate(memories)
        ]
        results = await self._writer.write_many(changes)
        return [
            _result(memory.coordinate, result)
            for memory, result in zip(memories, results, strict=True)
        ]

    async def remember(self, namespace: str, memory: NewMemory) -> Stored:
        """Store a memory at a coordinate that is free; see `MemoryEngine.remember`."""
        fresh = replace(memory, coordinate=self._fresh_coordinate(), expected_version=0)
        return await self.store(namespace, fresh)

    async def set_importance(
        self,
        namespace: str,
        coordinate: Coordinate,
        importance: float,
        expected_version: int | None,
    ) -> Stored:
        """Change how important a memory is; see `MemoryEngine.set_importance`."""
        check_namespace(namespace)
        check_importance(importance)
        check_expected(expected_version)
        key = memory_key(coordinate)

        def plan(view: View) -> Planned:
            now = self._stores.clock.now()
            state = self._truth.memory_state(namespace, key, view[key])
            expect_version(coordinate, expected_version, state, now)
            if state.record is None or not state.record.alive(now):
                raise not_found(coordinate)
            record = msgspec.structs.replace(state.record, importance=importance, updated_at=now)
            return self._planned(namespace, coordinate, state, record)

        change = Change(namespace=namespace, keys=(key,), plan=plan)
        return _stored(coordinate, await self._writer.write(change))

    def store_change(self, namespace: str, memory: NewMemory, *, field: str = "") -> Change:
        """Plan the write of a memory.

        Args:
            namespace: Where it is to live.
            memory: What to store.
            field: What to put before field names in errors, such as `items[3].`.

        Returns:
            A change that is refused with `VersionConflictError` if the memory
            is not at the expected version.

        Raises:
            InvalidInputError: A value is not acceptable.
        """
        limits = self._stores.settings.limits.payload
        payload = encode_payload(memory.payload, limits, field=f"{field}payload")
        if memory.importance is not None:
            check_importance(memory.importance)
        if memory.ttl is not None:
            check_ttl(memory.ttl)
        check_expected(memory.expected_version, field=f"{field}expected_version")
        return Change(
            namespace=namespace,
            keys=(memory_key(memory.coordinate),),
            plan=partial(self._plan, namespace, memory, payload, self._episode(memory)),
            read_first=memory.expected_version not in {None, 0},
            payload=memory.payload,
        )

    def _plan(
        self,
        namespace: str,
        memory: NewMemory,
        payload: bytes,
        episode: Episode | None,
        view: View,
    ) -> Planned:
        now = self._stores.clock.now()
        key = memory_key(memory.coordinate)
        state = self._truth.memory_state(namespace, key, view[key])
        expect_version(memory.coordinate, memory.expected_version, state, now)
        prior = state.record if state.record and state.record.alive(now) else None
        kept = 0.5 if prior is None else prior.importance
        record = MemoryRecord(
            payload=msgspec.Raw(payload),
            type=memory.type,
            importance=kept if memory.importance is None else float(memory.importance),
            created_at=now if prior is None else prior.created_at,
            updated_at=now,
            born=state.version + 1 if prior is None else prior.born,
            expires_at=None if memory.ttl is None else now + memory.ttl,
            episode=episode,
        )
        return self._planned(namespace, memory.coordinate, state, record)

    def _planned(
        self,
        namespace: str,
        coordinate: Coordinate,
        state: MemoryState,
        record: MemoryRecord,
    ) -> Planned:
        settings = self._stores.settings
        return Planned(
            commit=memory_commit(
                namespace,
                coordinate,
                state,
                record,
                history_limit=settings.history_limit,
                event=EventType.MEMORY_STORED if settings.event_log else None,
            ),
            version=state.version + 1,
        )

    def _episode(self, memory: NewMemory) -> Episode | None:
        if memory.episode is not None:
            return check_episode(memory.episode)
        components = memory.coordinate.components
        if len(components) == 1 or not self._stores.settings.turns_form_episodes:
            return None
        if not conversation_turn(memory.payload, self._stores.settings.text):
            return None
        name = str(Coordinate(components[:-1]))
        return Episode(name=name, order=components[-1]) if len(name) <= MAX_NAME_BYTES else None

    def _fresh_coordinate(self) -> Coordinate:
        """Return a coordinate that sorts by time and that nobody else makes.

        Both components are whole numbers below 2**53, which floats hold exactly.
        The first always grows, also while the clock stands still or is set back.
        """
        microseconds = int(self._stores.clock.now().timestamp() * 1_000_000)
        self._last_given = microseconds = max(microseconds, self._last_given + 1)
        return Coordinate((float(microseconds), float(secrets.randbits(52))))


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
    writes += _history_writes(coordinate, before, version, history_limit)
    old, new = _listings(coordinate, before.record), _listings(coordinate, after)
    writes += [Write(listing, None) for listing in old - new]
    writes += [Write(listing, b"") for listing in new - old]
    if before.record is not None and (after.deleted or after.born == version):
        writes.append(Write(access_key(coordinate), None))
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


def expect_version(
    coordinate: Coordinate, expected: int | None, state: MemoryState, now: datetime
) -> None:
    """Check the version that a caller expects.

    Args:
        coordinate: The memory, for the error.
        expected: What the caller expects; 0 is "absent", `None` is "whatever".
        state: What the truth says.
        now: The time, since an expired memory is absent.

    Raises:
        VersionConflictError: The memory is at another version.
    """
    alive = state.record is not None and state.record.alive(now)
    actual = state.version if alive else 0
    if expected is not None and expected != actual:
        raise VersionConflictError(
            f"The memory at {coordinate} is at version {actual}, not {expected}.",
            expected=expected,
            actual=actual,
            remedy="Read it again and decide anew.",
        )


def not_found(coordinate: Coordinate) -> NotFoundError:
    """Return the error for a memory that is not there."""
    return NotFoundError(
        f"There is no memory at {coordinate}.",
        remedy="Check namespace and coordinate; it may have been deleted or have expired.",
    )


def _history_writes(
    coordinate: Coordinate, before: MemoryState, version: int, limit: int
) -> list[Write]:
    """Keep what is replaced, and let go what is more than `limit` versions back.

    The window is one of version numbers, tombstones included, so that what
    leaves it is known without a read.
    """
    if before.record is None:
        return []
    writes: list[Write] = []
    if not before.record.deleted and before.version >= version - limit:
        encoded = encode_record(before.record)
        writes.append(Write(history_key(coordinate, before.version), encoded, before.version))
    leaving = range(max(1, before.version - limit), min(before.version, version - limit))
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


def _stored(coordinate: Coordinate, outcome: Outcome) -> Stored:
    return Stored(
        coordinate=coordinate,
        version=outcome.version,
        indexed=outcome.indexed,
        position=outcome.position,
    )


def _result(coordinate: Coordinate, result: Outcome | BaseException) -> Stored | SfmError:
    if isinstance(result, Outcome):
        return _stored(coordinate, result)
    if isinstance(result, SfmError):
        return result
    raise result
