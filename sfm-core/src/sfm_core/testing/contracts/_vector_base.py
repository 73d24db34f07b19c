"""What the parts of the vector contract share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import Filter
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import (
    Collection,
    Hit,
    Point,
    PointId,
    SearchResult,
    VectorQuery,
    VectorStore,
)
from sfm_core.testing.contracts._base import BackendContract, Operation
from sfm_core.testing.samples import axis, coordinate, point

DIMENSION = 32
COMMON = {"common": 1.0}


class VectorTests(BackendContract[VectorStore]):
    """Fixtures and shorthands for tests of a vector store.

    Attributes:
        persistent: Whether points are still there after closing and opening
            again. A store whose points are not must not list their collections.
        scores_both_arms: Whether a hit of one arm has its score in the other too.
        unsupported_operators: Filter operators that the store refuses with
            `InvalidFilterError`; for "none but equality" it is all the others.
    """

    persistent: ClassVar[bool] = True
    scores_both_arms: ClassVar[bool] = True
    unsupported_operators: ClassVar[frozenset[str]] = frozenset()

    @pytest_asyncio.fixture
    async def store(
        self, make: Callable[[], VectorStore], collection: Collection
    ) -> AsyncIterator[VectorStore]:
        """Return an open store that has an empty collection."""
        async with make() as store:
            await store.ensure(collection)
            yield store

    @pytest.fixture
    def collection(self) -> Collection:
        """Return the collection that most tests use."""
        return Collection(name="kit-main", dimension=DIMENSION)

    def operations(self, backend: VectorStore) -> Sequence[Operation]:
        """Return one small call of every method."""
        collection = Collection(name="kit-main", dimension=DIMENSION)
        where = coordinate(1.0)
        some = point("n", where, axis(0, DIMENSION))
        query = VectorQuery(namespace="n", limit=1, vector=axis(0, DIMENSION))
        return (
            backend.ping,
            lambda: backend.ensure(collection),
            lambda: backend.upsert(collection, [some]),
            lambda: backend.delete(collection, [some.id]),
            lambda: backend.search(collection, [query]),
            lambda: backend.scroll(collection, "n", after=None, limit=1),
            lambda: backend.drop(collection),
            backend.collections,
        )


def numbered(
    namespace: str,
    vectors: NDArray[np.float32],
    *,
    payloads: Sequence[Mapping[str, int]] | None = None,
) -> list[Point]:
    """Return one point per vector, at the coordinates 0, 1, 2, …, sharing a term."""
    return [
        point(
            namespace,
            coordinate(float(row)),
            vector,
            payload=payloads[row] if payloads else None,
            terms=COMMON,
        )
        for row, vector in enumerate(vectors)
    ]


async def search(
    store: VectorStore,
    collection: Collection,
    namespace: str,
    *,
    vector: NDArray[np.float32] | None = None,
    terms: Mapping[str, float] | None = None,
    limit: int = 100,
    type: MemoryType | None = None,
    filter: Filter | None = None,  # noqa: A002 - named as the field is
) -> SearchResult:
    """Ask one question."""
    query = VectorQuery(
        namespace=namespace, limit=limit, vector=vector, terms=terms, type=type, filter=filter
    )
    [result] = await store.search(collection, [query])
    return result


def by_vector(result: SearchResult) -> list[Hit]:
    """Return the hits that have a dense score, nearest first."""
    return sorted((h for h in result.hits if h.dense is not None), key=lambda hit: -dense(hit))


def by_words(result: SearchResult) -> list[Hit]:
    """Return the hits that share a term, best first."""
    return sorted((h for h in result.hits if h.keyword), key=lambda hit: -keyword(hit))


def dense(hit: Hit) -> float:
    """Return the dense score of a hit that must have one."""
    assert hit.dense is not None
    return hit.dense


def keyword(hit: Hit) -> float:
    """Return the keyword score of a hit that must have one."""
    assert hit.keyword is not None
    return hit.keyword


def places(hits: Sequence[Hit]) -> list[Coordinate]:
    """Return where the hits are, in their order."""
    return [hit.coordinate for hit in hits]


def ids(points: Sequence[Point]) -> list[PointId]:
    """Return which memories the points stand for."""
    return [one.id for one in points]
