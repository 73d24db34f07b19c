"""The index is a vector store when somebody compares the vectors for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sfm_core.inprocess import InProcessVectorStore, VectorState
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)
from sfm_core.search.points import PointIndex, columns, decode_point, encode_point, row_id
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.contracts import VectorStoreContract
from sfm_core.testing.machines import check_vector_store
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, axis, coordinate, point


class IndexedState(VectorState):
    """The indexes and vectors of every collection."""

    def __init__(self) -> None:
        super().__init__()
        self.indexes: dict[str, PointIndex] = {}
        self.vectors: dict[tuple[str, PointId], NDArray[np.float32]] = {}


class IndexedVectorStore(InProcessVectorStore):
    """Takes nothing from the reference but opening, checking and naming collections."""

    def __init__(self, *, state: IndexedState) -> None:
        super().__init__(state=state)
        self._held = state

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        await super().upsert(collection, points)
        self._index(collection).put(decode_point(encode_point(one)) for one in points)
        for one in points:
            self._held.vectors[collection.name, one.id] = one.vector.copy()

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        await super().delete(collection, ids)
        self._index(collection).remove(ids)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        await super().search(collection, queries)
        return [self._answer(collection, query) for query in queries]

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        await super().scroll(collection, namespace, after=after, limit=limit)
        return self._index(collection).page(namespace, after, limit)

    async def drop(self, collection: Collection) -> None:
        await super().drop(collection)
        self._held.indexes.pop(collection.name, None)

    def _index(self, collection: Collection) -> PointIndex:
        return self._held.indexes.setdefault(collection.name, PointIndex())

    def _answer(self, collection: Collection, query: VectorQuery) -> SearchResult:
        look = self._index(collection).look(query)
        if query.vector is None:
            return look.result(None)
        vectors, asked = self._held.vectors, query.vector
        cosines = {one: float(vectors[collection.name, one] @ asked) for one in look.allowed}
        nearest = sorted(cosines, key=lambda one: -cosines[one])[: query.limit]
        return look.result({one: cosines[one] for one in [*nearest, *look.spoken]})


class TestIndexedVectorStore(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self) -> Callable[[], IndexedVectorStore]:
        state = IndexedState()
        return lambda: IndexedVectorStore(state=state)


def test_it_is_like_the_model() -> None:
    def fresh(_: ManualClock) -> Callable[[], IndexedVectorStore]:
        state = IndexedState()
        return lambda: IndexedVectorStore(state=state)

    check_vector_store(fresh)


def test_the_gaps_of_replaced_points_are_tidied_away() -> None:
    index = PointIndex()
    for version in range(1, 2400):
        index.put([point("n", coordinate(1.0), axis(0, 4), version=version, terms={"a": 1.0})])
    [state] = index.page("n", None, 10)
    assert state.version == 2399
    found = index.look(VectorQuery(namespace="n", limit=5, terms={"a": 1.0})).result(None)
    assert [(hit.coordinate, hit.version) for hit in found.hits] == [(coordinate(1.0), 2399)]


def test_a_point_that_changes_between_look_and_result_is_answered_as_it_is_now() -> None:
    index = PointIndex()
    one, other = (point("n", coordinate(n), axis(0, 4), terms={"a": 1.0}) for n in (1.0, 2.0))
    index.put([one, other])
    look = index.look(VectorQuery(namespace="n", limit=5, vector=axis(0, 4), terms={"a": 1.0}))
    index.put([point("n", coordinate(1.0), axis(0, 4), version=2, terms={})])
    index.remove([other.id])
    [hit] = look.result({one.id: 1.0, other.id: 0.5}).hits
    assert (hit.version, hit.dense, hit.keyword) == (2, 1.0, None)


def test_points_come_back_from_their_rows() -> None:
    points = [
        point(
            name,
            where,
            axis(1, 4),
            version=2**53 + 1,
            type=MemoryType.SEMANTIC,
            payload={"a": [1, 0.1, None, True, {"b": "caf\u00e9 \U0001f9e0"}]},
            terms={'quo"te': 0.1},
        )
        for name in HOSTILE_NAMES
        for where in HOSTILE_COORDINATES
    ]
    made = columns([*points, points[0]])
    assert len(set(made["id"])) == len(made["vector"]) == len(points)
    for one, text, name in zip(points, made["point"], made["id"], strict=True):
        found = decode_point(text)
        assert name == row_id(found.id)
        assert (found.id, found.version, found.type) == (one.id, one.version, one.type)
        assert (found.payload, found.terms) == (one.payload, one.terms)
