"""The reference vector store: every question is answered by looking at every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

import numpy as np

from sfm_core.errors import ConfigurationError
from sfm_core.inprocess._base import InProcessBackend
from sfm_core.inprocess._ordered import OrderedMap
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.porting import check_batch, check_vector
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
        check_batch(len(points), "points")
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
        check_batch(len(ids), "ids")
        for point in ids:
            self._state.points(collection, point.namespace).remove(point.coordinate.key)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches; see `VectorStore.search`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidInputError: A vector of another length than the collection's.
            ConfigurationError: There is no such collection.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(queries), "queries")
        answers: list[SearchResult] = []
        for query in queries:
            if query.vector is not None:
                check_vector(query.vector, collection)
            everything = list(self._state.points(collection, query.namespace))
            chosen = [point for point in everything if _allowed(point, query)]
            answers.append(_answer(everything, chosen, query))
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

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Keep nothing but what is there, as always; see `SupportsScrubbing.scrub`.

        Raises:
            ClosedError: The store is not open.
        """
        del places
        await self._turn()
        return ""

    async def collections(self) -> list[Collection]:
        """List the collections that exist; see `VectorStore.collections`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        return self._state.collections()


def dense_scores(points: Sequence[Point], query: VectorQuery) -> list[float] | None:
    """Return the cosine similarity of each point; `None` where no vector is asked for."""
    if query.vector is None:
        return None
    if not points:
        return []
    return [float(score) for score in np.stack([p.vector for p in points]) @ query.vector]


def keyword_scores(
    everything: Sequence[Point], points: Sequence[Point], query: VectorQuery
) -> list[float] | None:
    """Return the BM25 score of each point.

    Args:
        everything: The points of the namespace, which say how rare a term is.
        points: Those of them that may answer.
        query: What is asked.

    Returns:
        One score per point, 0 where no term is shared; `None` where no terms are asked for.
    """
    if not query.terms:
        return None
    if not points:
        return []
    weights = {term: weight * _rarity(everything, term) for term, weight in query.terms.items()}
    average = sum(map(_length, everything)) / len(everything)
    return [_bm25(point, weights, average) for point in points]


def _answer(
    everything: Sequence[Point], chosen: Sequence[Point], query: VectorQuery
) -> SearchResult:
    dense = dense_scores(chosen, query)
    keyword = keyword_scores(everything, chosen, query)
    best = _best(chosen, dense, query.limit, floor=-2.0) | _best(
        chosen, keyword, query.limit, floor=0.0
    )
    return SearchResult(
        hits=tuple(
            Hit(
                coordinate=chosen[at].id.coordinate,
                version=chosen[at].version,
                dense=None if dense is None else dense[at],
                keyword=None if keyword is None else keyword[at],
            )
            for at in sorted(best)
        )
    )


def _best(
    points: Sequence[Point], scores: Sequence[float] | None, limit: int, *, floor: float
) -> set[int]:
    """Return which points score best in one arm, of those above the floor."""
    if scores is None:
        return set()
    above = [at for at, score in enumerate(scores) if score > floor]
    above.sort(key=lambda at: (-scores[at], points[at].id.coordinate.key))
    return set(above[:limit])


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


def _allowed(point: Point, query: VectorQuery) -> bool:
    return (query.type is None or point.type is query.type) and (
        query.filter is None or matches(query.filter, point.payload)
    )


def _copied(point: Point, collection: Collection) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    check_vector(point.vector, collection, point.id.coordinate)
    return np.array(point.vector, dtype=np.float32)
