"""The write path: from a new memory to a commit in the truth, then to the indexer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import msgspec

from sfm_core.engine.apart import Turns
from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.expecting import expect_revision, expect_version, not_found, refuse_reuse
from sfm_core.engine.inputs import (
    check_batch,
    check_episode,
    check_expected,
    check_importance,
    check_namespace,
    check_ttl,
)
from sfm_core.engine.memory_commit import memory_commit
from sfm_core.engine.once import Once
from sfm_core.engine.patching import check_patch, patched
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.engine.writer import Outcome, Writer
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventType
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.model.names import MAX_NAME_BYTES
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.payload import encode_payload
from sfm_core.model.precondition import Precondition
from sfm_core.model.record import MemoryRecord
from sfm_core.model.report import Stored
from sfm_core.model.trace import TraceContext
from sfm_core.text.composing import conversation_turn


class Remembering:
    """Stores memories."""

    def __init__(self, stores: Stores, truth: Truth, writer: Writer) -> None:
        """Write through `writer`."""
        self._stores = stores
        self._truth = truth
        self._writer = writer
        self._last_given = 0

    async def store(
        self,
        namespace: str,
        memory: NewMemory,
        *,
        precondition: Precondition | None = None,
        key: IdempotencyKey | None = None,
    ) -> Stored:
        """Store one memory; see `MemoryEngine.store`."""
        change = self.store_change(check_namespace(namespace), memory, precondition=precondition)
        once = Once(self._stores, key, "store", *_said(memory), precondition)
        return _stored(memory.coordinate, await self._writer.write(once.write(change)))

    async def store_many(
        self, namespace: str, memories: Sequence[NewMemory], key: IdempotencyKey | None
    ) -> list[Stored | SfmError]:
        """Store many memories; see `MemoryEngine.store_many`."""
        check_batch(memories, self._stores.settings.limits.max_batch, field="items")
        check_namespace(namespace)
        changes: list[Change] = []
        turns = Turns()
        for at, memory in enumerate(memories):
            await turns.between()
            changes.append(self.store_change(namespace, memory, field=f"items[{at}]."))
        once = Once(self._stores, key, "store_many", *(map(_said, memories) if key else ()))
        results = await self._writer.write_many(
            [once.item(change, at) for at, change in enumerate(changes)]
        )
        refuse_reuse(results)
        return [
            _result(memory.coordinate, result)
            for memory, result in zip(memories, results, strict=True)
        ]

    async def remember(
        self, namespace: str, memory: NewMemory, key: IdempotencyKey | None
    ) -> Stored:
        """Store a memory at a coordinate that is free; see `MemoryEngine.remember`."""
        fresh = replace(memory, coordinate=self._fresh_coordinate(), expected_version=0)
        change = self.store_change(check_namespace(namespace), fresh)
        once = Once(self._stores, key, "remember", *_said(memory))
        return _stored(fresh.coordinate, await self._writer.write(once.write(change)))

    async def update(
        self,
        namespace: str,
        coordinate: Coordinate,
        patch: MemoryPatch,
        *,
        expected_version: int | None,
        precondition: Precondition | None,
        key: IdempotencyKey | None,
    ) -> Stored:
        """Change parts of a memory; see `MemoryEngine.update`."""
        check_namespace(namespace)
        check_expected(expected_version)
        limits = self._stores.settings.limits.payload
        check_patch(patch, limits)
        at = memory_key(coordinate)
        trace = self._stores.observer.here()

        def plan(view: View) -> Planned:
            now = self._stores.clock.now()
            state = self._truth.memory_state(namespace, at, view[at])
            expect_version(coordinate, expected_version, state, now)
            if state.record is None or not state.record.alive(now):
                raise not_found(coordinate)
            expect_revision(coordinate, precondition, state, now)
            payload = self._truth.payload(namespace, coordinate, state.record)
            record = patched(state.record, payload, patch, limits, now)
            record = msgspec.structs.replace(record, trace=trace)
            return self._planned(namespace, coordinate, state, record)

        change = Change(namespace=namespace, keys=(at,), plan=plan)
        asked = ("update", str(coordinate), patch, expected_version, precondition)
        once = Once(self._stores, key, *asked)
        return _stored(coordinate, await self._writer.write(once.write(change)))

    def store_change(
        self,
        namespace: str,
        memory: NewMemory,
        *,
        field: str = "",
        precondition: Precondition | None = None,
        expires_at: datetime | None = None,
    ) -> Change:
        """Plan the write of a memory.

        Args:
            namespace: Where it is to live.
            memory: What to store.
            field: What to put before field names in errors, such as `items[3].`.
            precondition: What must be so.
            expires_at: When it ceases to exist, where that is not told by how long it lives.

        Returns:
            A change that is refused with `VersionConflictError` if the memory is not
            at the expected version, or with `PreconditionFailedError`.

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
        memory = replace(memory, episode=self._episode(memory))
        return Change(
            namespace=namespace,
            keys=(memory_key(memory.coordinate),),
            plan=partial(
                self._plan,
                namespace,
                memory,
                payload,
                precondition,
                trace=self._stores.observer.here(),
                expires_at=expires_at,
            ),
            read_first=memory.expected_version not in {None, 0},
            payload=memory.payload,
        )

    def _plan(
        self,
        namespace: str,
        memory: NewMemory,
        payload: bytes,
        precondition: Precondition | None,
        view: View,
        *,
        trace: TraceContext | None,
        expires_at: datetime | None,
    ) -> Planned:
        now = self._stores.clock.now()
        key = memory_key(memory.coordinate)
        state = self._truth.memory_state(namespace, key, view[key])
        expect_version(memory.coordinate, memory.expected_version, state, now)
        expect_revision(memory.coordinate, precondition, state, now)
        prior = state.record if state.record and state.record.alive(now) else None
        kept = 0.5 if prior is None else prior.importance
        record = MemoryRecord(
            payload=msgspec.Raw(payload),
            type=memory.type,
            importance=kept if memory.importance is None else float(memory.importance),
            created_at=now if prior is None else prior.created_at,
            updated_at=now,
            born=state.version + 1 if prior is None else prior.born,
            expires_at=expires_at if memory.ttl is None else now + memory.ttl,
            episode=memory.episode,
            trace=trace,
            purged=0 if state.record is None else state.record.purged,
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
            revision=record.revision(state.version + 1),
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


def _stored(coordinate: Coordinate, outcome: Outcome) -> Stored:
    if outcome.repeats is not None and outcome.repeats.dirty:
        # The first time, the engine may have chosen another one.
        coordinate = Coordinate.from_key(outcome.repeats.dirty[0][1:])
    return Stored(
        coordinate=coordinate,
        version=outcome.version,
        indexed=outcome.indexed,
        position=outcome.position,
        revision=outcome.revision,
    )


def _said(memory: NewMemory) -> tuple[object, ...]:
    """Return all that tells one request to store from another."""
    episode = memory.episode
    return (
        str(memory.coordinate),
        memory.payload,
        memory.type,
        memory.importance,
        memory.ttl,
        None if episode is None else (episode.name, episode.order),
        memory.expected_version,
    )


def _result(coordinate: Coordinate, result: Outcome | BaseException) -> Stored | SfmError:
    if isinstance(result, Outcome):
        return _stored(coordinate, result)
    if isinstance(result, SfmError):
        return result
    raise result
