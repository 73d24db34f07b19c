"""The reference vector store: every question is answered by looking at every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np

from sfm_core.errors import ConfigurationError, InvalidInputError
from sfm_core.inprocess._base import InProcessBackend, check_count
from sfm_core.inprocess._ordered import OrderedMap
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.protocols.vector import (
    Collection,
    Hit,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
)

BM25_K1 = 0.9
BM25_B = 0.4


@dataclass(slots=True)
class _Points:
    collection: Collection
    by_namespace: dict[str, OrderedMap[Point]] = field(default_factory=dict[str, OrderedMap[Point]])


@dataclass(slots=True)
class VectorState:
    """The points of every collection. Stores given the same state show the same data."""

    _collections: dict[str, _Points] = field(default_factory=dict[str, _Points])

    def ensure(self, collection: Collection) -> Collection:
        """Make a collection unless there is one of that name, and return the one there is."""
        made = self._collections.setdefault(collection.name, _Points(collection))
        return made.collection

    def points(self, collection: Collection, namespace: str) -> OrderedMap[Point]:
        """Return the points of a namespace, to read or to change.

        Raises:
            ConfigurationError: There is no such collection.
        """
        found = self._collections.get(collection.name)
        if found is None:
            raise ConfigurationError(
                f"There is no collection {collection.name!r}.", remedy="Call ensure first."
            )
        return found.by_namespace.setdefault(namespace, OrderedMap())

    def drop(self, collection: Collection) -> None:
        """Forget a collection; one that is not there is no error."""
        self._collections.pop(collection.name, None)

    def collections(self) -> list[Collection]:
        """Return every collection, by name."""
        return [self._collections[name].collection for name in sorted(self._collections)]


class InProcessVectorStore(InProcessBackend):
    """Exact search over points in dictionaries."""

    def __init__(self, *, state: VectorState | None = None) -> None:
        super().__init__()
        self._state = state or VectorState()

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; see `VectorStore.ensure`.

        Raises:
            ConfigurationError: It exists with another dimension.
            ClosedError: The store is not open.
        """
        await self._turn()
        found = self._state.ensure(collection)
        if found.dimension != collection.dimension:
            raise ConfigurationError(
                f"The collection {collection.name!r} has {found.dimension} dimensions, "
                f"not {collection.dimension}.",
                remedy="Drop it, or use another name.",
            )

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points; see `VectorStore.upsert`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points; none was written.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: There is no such collection.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_count("points", len(points))
        # The caller may use its array again.
        kept = [replace(point, vector=_copied(point, collection)) for point in points]
        for point in kept:
            found = self._state.points(collection, point.id.namespace)
            found.put(point.id.coordinate.key, point)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points; see `VectorStore.delete`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids; none was removed.
            ConfigurationError: There is no such collection.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_count("ids", len(ids))
        for point in ids:
            self._state.points(collection, point.namespace).remove(point.coordinate.key)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches; see `VectorStore.search`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            ConfigurationError: There is no such collection.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_count("queries", len(queries))
        answers: list[SearchResult] = []
        for query in queries:
            everything = list(self._state.points(collection, query.namespace))
            chosen = [point for point in everything if _allowed(point, query)]
            answers.append(
                SearchResult(
                    dense=dense_arm(chosen, query), keyword=keyword_arm(everything, chosen, query)
                )
            )
        return answers

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace in order; see `VectorStore.scroll`.

        Raises:
            ConfigurationError: There is no such collection.
            ClosedError: The store is not open.
        """
        await self._turn()
        points = self._state.points(collection, namespace)
        page = points.read_after(after.key if after else None, limit)
        return [PointState(id=point.id, version=point.version) for point in page]

    async def drop(self, collection: Collection) -> None:
        """Remove a collection with all its points; see `VectorStore.drop`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        self._state.drop(collection)

    async def collections(self) -> list[Collection]:
        """List the collections that exist; see `VectorStore.collections`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        return self._state.collections()


def dense_arm(points: Sequence[Point], query: VectorQuery) -> tuple[Hit, ...]:
    """Return the points nearest to the query's vector, by cosine."""
    if query.vector is None or not points:
        return ()
    scores = np.stack([point.vector for point in points]) @ query.vector
    scored = zip(points, map(float, scores), strict=True)
    return _best([(point, score) for point, score in scored], query.limit)


def keyword_arm(
    everything: Sequence[Point], points: Sequence[Point], query: VectorQuery
) -> tuple[Hit, ...]:
    """Return the points that share words with the query, by BM25.

    Args:
        everything: The points of the namespace, which say how rare a term is.
        points: Those of them that may answer.
        query: What is asked.

    Returns:
        The best points, best first.
    """
    terms = query.terms or {}
    if not terms or not points:
        return ()
    weights = {term: weight * _rarity(everything, term) for term, weight in terms.items()}
    average = sum(map(_length, everything)) / len(everything)
    scored = [(point, _bm25(point, weights, average)) for point in points]
    return _best([(point, score) for point, score in scored if score > 0.0], query.limit)


def _bm25(point: Point, weights: Mapping[str, float], average: float) -> float:
    if not average:
        return 0.0
    norm = BM25_K1 * (1.0 - BM25_B + BM25_B * _length(point) / average)
    frequencies = ((weight, point.terms.get(term, 0.0)) for term, weight in weights.items())
    return sum(
        weight * frequency * (BM25_K1 + 1.0) / (frequency + norm)
        for weight, frequency in frequencies
        if frequency
    )


def _rarity(points: Sequence[Point], term: str) -> float:
    having = sum(1 for point in points if point.terms.get(term))
    return log(1.0 + (len(points) - having + 0.5) / (having + 0.5))


def _length(point: Point) -> float:
    return sum(point.terms.values())


def _best(scored: Sequence[tuple[Point, float]], limit: int) -> tuple[Hit, ...]:
    ordered = sorted(scored, key=lambda pair: (-pair[1], pair[0].id.coordinate.key))
    return tuple(
        Hit(coordinate=point.id.coordinate, version=point.version, score=score)
        for point, score in ordered[:limit]
    )


def _allowed(point: Point, query: VectorQuery) -> bool:
    return (query.type is None or point.type is query.type) and (
        query.filter is None or matches(query.filter, point.payload)
    )


def _copied(point: Point, collection: Collection) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    if point.vector.shape != (collection.dimension,):
        raise InvalidInputError(
            f"The vector of {point.id.coordinate} has the shape {point.vector.shape}.",
            field="vector",
            remedy=f"The collection takes {collection.dimension} numbers.",
        )
    return np.array(point.vector, dtype=np.float32)
