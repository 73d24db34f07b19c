"""The vector port: search by meaning and by words, over points derived from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import Filter
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import Payload
from sfm_core.protocols.lifecycle import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A set of points whose vectors can be compared with each other.

    Attributes:
        name: Lower-case letters, digits, `-` and `_`; made by the engine from
            the fingerprints of embedder and text rule.
        dimension: Length of every vector in it.
    """

    name: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointId:
    """Which memory a point stands for. Backends that need one id use `point_id`.

    Attributes:
        namespace: Namespace of the memory.
        coordinate: Coordinate of the memory.
    """

    namespace: str
    coordinate: Coordinate


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a vector store keeps of a memory.

    Attributes:
        id: The memory.
        version: Version of the memory it was made from.
        type: Type of the memory.
        payload: What filters look at.
        vector: float32, shape (dimension,), L2-normalised.
        terms: Index terms of its text, with their weighted frequency in it.
            Opaque strings: a backend compares them for equality only.
    """

    id: PointId
    version: int
    type: MemoryType
    payload: Payload
    vector: NDArray[np.float32]
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorQuery:
    """One search.

    Attributes:
        namespace: Only points of this namespace.
        limit: Most hits per arm; so at most twice as many together.
        vector: float32, shape (dimension,), L2-normalised; `None` leaves the
            dense arm out.
        terms: Index terms of the query with their weights; empty leaves the
            keyword arm out.
        type: Only points of this type.
        filter: Only points whose payload matches.
    """

    namespace: str
    limit: int
    vector: NDArray[np.float32] | None = None
    terms: Mapping[str, float] | None = None
    type: MemoryType | None = None
    filter: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A point that answers a search, with its raw score in each arm.

    The engine compares candidates by both scores, so a backend also scores in
    one arm what only the other has found, if it can.

    Attributes:
        coordinate: Coordinate of the memory.
        version: Version of the memory that the point was made from.
        dense: Cosine similarity, -1 to 1; `None` if the dense arm was left
            out, or if the backend cannot tell for a hit of the keyword arm.
        keyword: BM25 on the backend's scale (term statistics may be those of
            the namespace or of the collection), 0 if no term is shared; `None` if
            the keyword arm was left out, or if the backend cannot tell for a
            hit of the dense arm.
    """

    coordinate: Coordinate
    version: int
    dense: float | None = None
    keyword: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The answer to one search.

    Attributes:
        hits: The best of each arm together, no coordinate twice, in no
            particular order. Only points that share a term are hits of the
            keyword arm.
    """

    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PointState:
    """What a point says of itself, for comparison with the truth.

    Attributes:
        id: The memory it stands for.
        version: Version of the memory it was made from.
    """

    id: PointId
    version: int


class VectorStore(Backend, Protocol):
    """Finds memories by meaning and by words. Derived: it can be rebuilt from the truth.

    `upsert`, `delete`, `search` and `scroll` raise `ConfigurationError` for a
    collection that does not exist: writing nowhere would lose index entries.
    """

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists; one that does is left as it is.

        Args:
            collection: What is needed.

        Raises:
            ConfigurationError: It exists with another dimension.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Idempotent, also when called concurrently. Never drops or empties anything.
        """
        ...

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points, replacing those of the same memories.

        Args:
            collection: An ensured collection.
            points: At most `MAX_BATCH`; of several for one memory the last counts.

        Raises:
            LimitExceededError: More than `MAX_BATCH` points.
            InvalidInputError: A vector of another length than the collection's; no
                point is written.
            BackendUnavailableError: The store was not reached before the
                deadline; some points may be written.

        Guarantees:
            Idempotent. A search that starts after it returns sees the points,
            in this process and in any other that shares the store.
        """
        ...

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points.

        Args:
            collection: An ensured collection.
            ids: Which memories; unknown ones are ignored.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            BackendUnavailableError: The store was not reached before the
                deadline; some points may be gone.

        Guarantees:
            Idempotent. A search that starts after it returns does not find them.
        """
        ...

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer many searches in one round trip.

        Args:
            collection: An ensured collection.
            queries: At most `MAX_BATCH`.

        Returns:
            One result per query, in order.

        Raises:
            LimitExceededError: More than `MAX_BATCH` queries.
            InvalidInputError: A vector of another length than the collection's.
            InvalidFilterError: The backend cannot push a filter down; it is
                never ignored.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Hits satisfy namespace, type and filter as `sfm_core.model.filters`
            defines them. The dense arm may be approximate, with a recall of at
            least 0.95 against exact search, also under filters and after deletions.
        """
        ...

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List the points of a namespace in a stable order.

        Args:
            collection: An ensured collection.
            namespace: Whose points.
            after: The coordinate of the last point of the page before.
            limit: Most points to return.

        Returns:
            The next points; empty at the end. Ordered by the bytes of `Coordinate.key`.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def drop(self, collection: Collection) -> None:
        """Remove a collection with all its points; no error where there is none.

        Args:
            collection: What to remove.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...

    async def collections(self) -> list[Collection]:
        """List the collections that exist.

        Returns:
            Every collection, by name.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...
