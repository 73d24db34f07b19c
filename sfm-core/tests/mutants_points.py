"""Vector stores that break a promise about points and collections, or about opening and closing.

Each is listed at the end with the test that has to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.inprocess import InProcessVectorStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)
from sfm_core.testing.samples import point

LARGE = 10_000


class TwoPointsForOneMemory(InProcessVectorStore):
    """Gives each point a random id, so that replacing one adds another."""

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        found = await super().search(collection, queries)
        return [SearchResult(hits=result.hits + result.hits[:1]) for result in found]


class FirstOfSeveralCounts(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        await super().upsert(collection, points[:1] if len(points) > LARGE else points[::-1])


class VectorsAreMadeToFit(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        fitting = [replace(p, vector=np.resize(p.vector, collection.dimension)) for p in points]
        await super().upsert(collection, fitting)


class StaleDelete(InProcessVectorStore):
    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids[:0] if len(ids) <= LARGE else ids)


class DeleteReachesLongerCoordinates(InProcessVectorStore):
    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids)
        for one in ids[:LARGE]:
            begin = one.coordinate.components
            states = await super().scroll(collection, one.namespace, after=None, limit=LARGE)
            reached = [s.id for s in states if s.id.coordinate.components[: len(begin)] == begin]
            await super().delete(collection, reached)


class DeleteReachesOtherTenants(InProcessVectorStore):
    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids)
        for one in ids[:LARGE]:
            await super().delete(collection, [replace(one, namespace=one.namespace + "2")])


class OlderVersionsIgnored(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        versions: dict[PointId, int] = {}
        for namespace in {one.id.namespace for one in points[:LARGE]}:
            states = await super().scroll(collection, namespace, after=None, limit=LARGE)
            versions |= {state.id: state.version for state in states}
        newer = [one for one in points if one.version >= versions.get(one.id, 0)]
        await super().upsert(collection, newer)


class EnsureEmptiesTheCollection(InProcessVectorStore):
    async def ensure(self, collection: Collection) -> None:
        await super().ensure(collection)
        await super().drop(collection)
        await super().ensure(collection)


class AnyDimensionAccepted(InProcessVectorStore):
    async def ensure(self, collection: Collection) -> None:
        try:
            await super().ensure(collection)
        except ConfigurationError:
            return


class DropRemovesEverything(InProcessVectorStore):
    async def drop(self, collection: Collection) -> None:
        for other in (collection, *await self.collections()):
            await super().drop(other)


class WritesToNowhere(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        if collection in await self.collections() or not points:
            await super().upsert(collection, points)


class DeleteReachesOtherCollections(InProcessVectorStore):
    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids)
        for other in await self.collections():
            await super().delete(other, ids)


class ScrollSkipsByNumber(InProcessVectorStore):
    """Pages by offset, so that a deletion between two pages hides points."""

    _offset = 0

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        everything = await super().scroll(collection, namespace, after=None, limit=LARGE)
        start = self._offset if after else 0
        self._offset = start + limit
        return everything[start : start + limit]


class PagesBeginWithTheLastOne(InProcessVectorStore):
    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        before = None if after is None else after.before()
        return await super().scroll(collection, namespace, after=before, limit=limit)


class DeletionsAreForgottenWhenClosed(InProcessVectorStore):
    _deleted: tuple[tuple[Collection, PointState], ...] = ()

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids)
        self._deleted = tuple((collection, PointState(id=one, version=1)) for one in ids[:LARGE])

    async def __aexit__(self, *_: object) -> None:
        for collection, state in self._deleted:
            vector = np.ones(collection.dimension, dtype=np.float32)
            lost = point(state.id.namespace, state.id.coordinate, vector)
            await super().upsert(collection, [lost])
        await super().__aexit__(None, None, None)


class BrokenByACancelledCall(InProcessVectorStore):
    _broken = False

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self._broken = True
            raise
        await super().upsert(collection, points)

    async def ping(self) -> None:
        await super().ping()
        if self._broken:
            raise BackendUnavailableError("Half an answer is left.", backend=self.scheme)


class LeavesATaskBehind(InProcessVectorStore):
    async def __aenter__(self) -> Self:
        self._upkeep = asyncio.create_task(asyncio.sleep(3600))
        return await super().__aenter__()


class ForgetsWhenClosed(InProcessVectorStore):
    async def __aexit__(self, *_: object) -> None:
        for collection in self._state.collections():
            self._state.drop(collection)
            self._state.ensure(collection)
        await super().__aexit__(None, None, None)


POINT_MUTANTS: dict[type[InProcessVectorStore], str] = {
    TwoPointsForOneMemory: "test_writing_a_memory_again_replaces_its_point",
    FirstOfSeveralCounts: "test_of_several_points_for_one_memory_the_last_counts",
    VectorsAreMadeToFit: "test_a_vector_of_another_length_is_refused",
    StaleDelete: "test_a_deleted_point_is_not_found",
    DeleteReachesLongerCoordinates: "test_a_deletion_takes_no_other_point",
    DeleteReachesOtherTenants: "test_a_deletion_stays_in_its_namespace",
    OlderVersionsIgnored: "test_of_several_points_for_one_memory_the_last_counts",
    EnsureEmptiesTheCollection: "test_ensuring_again_changes_nothing",
    AnyDimensionAccepted: "test_another_dimension_is_refused",
    DropRemovesEverything: "test_dropping_removes_one_collection",
    WritesToNowhere: "test_a_collection_that_does_not_exist_is_an_error",
    DeleteReachesOtherCollections: "test_collections_do_not_mix",
    ScrollSkipsByNumber: "test_scrolling_goes_on_after_a_point_that_is_gone",
    PagesBeginWithTheLastOne: "test_scrolling_lists_points_in_key_order_page_by_page",
    DeletionsAreForgottenWhenClosed: "test_what_was_removed_is_gone_after_opening_again",
    BrokenByACancelledCall: "test_a_cancelled_call_leaves_it_usable",
    LeavesATaskBehind: "test_it_leaves_no_task_behind_when_it_is_closed",
    ForgetsWhenClosed: "test_opening_again_finds_the_points_or_no_collection",
}
