"""Caches, sinks and embedders that break one promise each.

Each is listed after its kind with the test that has to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sfm_core.inprocess import (
    HashingEmbedder,
    InProcessCache,
    InProcessEventSink,
)
from sfm_core.inprocess.embedder import embed_texts
from sfm_core.model.events import Event
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.cache import Cached
from sfm_core.protocols.embedder import Fingerprint


class OlderOverwritesNewer(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        await self._turn()
        for key, cached in entries.items():
            self._state.put((namespace, key), cached, self._clock.monotonic() + ttl.total_seconds())


class SameVersionOverwrites(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        await super().set_if_newer(namespace, entries, ttl=ttl)
        for key, cached in entries.items():
            kept = self._state.get((namespace, key))
            if kept and kept.version == cached.version:
                deadline = self._clock.monotonic() + ttl.total_seconds()
                self._state.put((namespace, key), cached, deadline)


class TombstonesIgnored(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        copies = {key: cached for key, cached in entries.items() if cached.value is not None}
        await super().set_if_newer(namespace, copies, ttl=ttl)


class EmptyCopyIsATombstone(InProcessCache):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        found = await super().get_many(namespace, keys)
        return [cached and Cached(cached.version, cached.value or None) for cached in found]


class CheckAndSetAreTwoSteps(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        kept = await self.get_many(namespace, list(entries))
        pairs = list(zip(entries.items(), kept, strict=True))
        await asyncio.sleep(0)
        for (key, cached), old in pairs:
            if old is None or old.version < cached.version:
                deadline = self._clock.monotonic() + ttl.total_seconds()
                self._state.put((namespace, key), cached, deadline)


class CopiesLiveForEver(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        await super().set_if_newer(namespace, entries, ttl=1000 * ttl)


class OneTooOldSpoilsTheCall(InProcessCache):
    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        kept = await self.get_many(namespace, list(entries))
        pairs = zip(entries.values(), kept, strict=True)
        if all(old is None or old.version < cached.version for cached, old in pairs):
            await super().set_if_newer(namespace, entries, ttl=ttl)


class CountersLiveFromTheirLastIncrement(InProcessCache):
    _values: dict[str, tuple[int, float]]

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        await self._turn()
        self._values = getattr(self, "_values", {})
        now = self._clock.monotonic()
        value, until = self._values.get(key, (0, now))
        value = amount + (value if until > now else 0)
        self._values[key] = (value, now + ttl.total_seconds())
        return value


class IncrementIsTwoSteps(InProcessCache):
    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        read = await super().increment(key, 0, ttl=ttl)
        await asyncio.sleep(0)
        deadline = self._clock.monotonic() + ttl.total_seconds()
        others = self._state.add(key, 0, deadline) - read
        return self._state.add(key, amount - others, deadline)


class ClearTakesAPattern(InProcessCache):
    async def clear(self, namespace: str) -> None:
        await super().clear(namespace)
        if namespace == "*":
            await super().clear("plain")


class ClearByPrefix(InProcessCache):
    async def clear(self, namespace: str) -> None:
        for suffix in ("", "2"):
            await super().clear(namespace + suffix)


class NamespaceRunsIntoTheKey(InProcessCache):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        return await super().get_many("", [f"{namespace}:".encode() + key for key in keys])

    async def set_if_newer(
        self, namespace: str, entries: Mapping[bytes, Cached], *, ttl: timedelta
    ) -> None:
        joined = {f"{namespace}:".encode() + key: cached for key, cached in entries.items()}
        await super().set_if_newer("", joined, ttl=ttl)


class AnswersEndAfterAThousand(InProcessCache):
    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Cached | None]:
        return (await super().get_many(namespace, keys))[:1000]


CACHE_MUTANTS: dict[type[InProcessCache], str] = {
    OlderOverwritesNewer: "test_what_is_not_newer_is_not_kept",
    SameVersionOverwrites: "test_what_is_not_newer_is_not_kept",
    TombstonesIgnored: "test_what_is_not_newer_is_not_kept",
    EmptyCopyIsATombstone: "test_copies_come_back_byte_for_byte",
    CheckAndSetAreTwoSteps: "test_of_many_fillers_at_once_the_newest_wins",
    CopiesLiveForEver: "test_nothing_outlives_its_time",
    OneTooOldSpoilsTheCall: "test_each_key_is_decided_for_itself",
    CountersLiveFromTheirLastIncrement: "test_a_counter_lives_from_its_first_increment",
    IncrementIsTwoSteps: "test_concurrent_increments_all_count",
    ClearTakesAPattern: "test_clearing_takes_patterns_literally",
    NamespaceRunsIntoTheKey: "test_the_end_of_a_namespace_is_no_beginning_of_a_key",
    AnswersEndAfterAThousand: "test_the_largest_calls_are_done_as_a_whole",
    ClearByPrefix: "test_clearing_forgets_one_namespace",
}


class EventsOfACallReversed(InProcessEventSink):
    async def publish(self, events: Sequence[Event]) -> None:
        await super().publish(events[::-1])


class OnlyTheLastOfASubject(InProcessEventSink):
    async def publish(self, events: Sequence[Event]) -> None:
        latest = {(event.source, event.subject): event for event in events[:MAX_BATCH]}
        await super().publish(list(latest.values()) if len(events) <= MAX_BATCH else events)


class AcknowledgedBeforeItIsPublished(InProcessEventSink):
    _waiting: Sequence[Event] = ()

    async def publish(self, events: Sequence[Event]) -> None:
        await super().publish(self._waiting)
        self._waiting = events


class EventTimeCut(InProcessEventSink):
    async def publish(self, events: Sequence[Event]) -> None:
        await super().publish([replace(e, time=e.time.replace(microsecond=0)) for e in events])


class RandomEventIds(InProcessEventSink):
    _ids = count()

    async def publish(self, events: Sequence[Event]) -> None:
        await super().publish([replace(event, id=str(next(self._ids))) for event in events])


SINK_MUTANTS: dict[type[InProcessEventSink], str] = {
    EventsOfACallReversed: "test_events_of_a_memory_stay_in_order",
    OnlyTheLastOfASubject: "test_events_of_a_memory_stay_in_order",
    AcknowledgedBeforeItIsPublished: "test_events_arrive_as_they_were_given",
    EventTimeCut: "test_events_arrive_as_they_were_given",
    RandomEventIds: "test_publishing_again_is_recognisable",
}


class VectorsNotNormalised(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.float32(1.5) * await super().embed(texts)


class VectorsDependOnTheBatch(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = await super().embed(texts)
        if len(vectors) < 2:
            return vectors
        moved = vectors - np.float32(0.1) * vectors.mean(axis=0)
        return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), dtype=np.float32)


class EmptyTextGivesNan(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = await super().embed(texts)
        vectors[[not text.strip() for text in texts], :] = np.nan
        return vectors


class DoublePrecision(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], (await super().embed(texts)).astype(np.float64))


class NoTextHasNoShape(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = await super().embed(texts)
        return vectors if len(texts) else np.zeros(0, dtype=np.float32)


class EachInstanceItsOwnVectors(HashingEmbedder):
    _instances = count(1)

    def __init__(self) -> None:
        super().__init__()
        self._shift = next(self._instances)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.roll(await super().embed(texts), self._shift, axis=1)


class EveryTextTheSameVector(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = await super().embed(texts)
        vectors[:] = 0
        vectors[:, 0] = 1
        return vectors


class FingerprintNamesAnotherDimension(HashingEmbedder):
    @property
    def fingerprint(self) -> Fingerprint:
        return replace(super().fingerprint, dimension=255)


class BlocksTheLoop(HashingEmbedder):
    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if len(texts) > MAX_BATCH:
            return await super().embed(texts)
        await self._turn()
        return embed_texts(texts)


EMBEDDER_MUTANTS: dict[type[HashingEmbedder], str] = {
    VectorsNotNormalised: "test_vectors_are_rows_of_float32_of_norm_one",
    VectorsDependOnTheBatch: "test_a_text_has_the_same_vector_alone_and_in_any_batch",
    EmptyTextGivesNan: "test_vectors_are_rows_of_float32_of_norm_one",
    DoublePrecision: "test_vectors_are_rows_of_float32_of_norm_one",
    NoTextHasNoShape: "test_no_text_gives_no_vector",
    EachInstanceItsOwnVectors: "test_another_instance_gives_the_same_vectors",
    EveryTextTheSameVector: "test_different_texts_have_different_vectors",
    FingerprintNamesAnotherDimension: "test_the_fingerprint_is_known_before_opening_and_stays",
    BlocksTheLoop: "test_other_tasks_run_while_texts_are_embedded",
}
