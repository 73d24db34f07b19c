"""A vector store that is given vectors, and nothing of what memories say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.vector import (
    Collection,
    Point,
    PointId,
    PointState,
    SearchResult,
    VectorQuery,
    VectorStore,
)
from sfm_core.wrapping import BackendWrapper


class BareVectorStore(BackendWrapper[VectorStore]):
    """Keeps payloads and words from a store, and asks it for neither.

    Hits are then more than a filter lets pass; the engine looks at each memory
    in the truth anyway, and asks for more until it has enough.
    """

    async def ensure(self, collection: Collection) -> None:
        """Make sure that a collection exists."""
        await self.inner.ensure(collection)

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """Write points, without payloads and words."""
        bare = [replace(point, payload={}, terms={}) for point in points]
        await self.inner.upsert(collection, bare)

    async def delete(self, collection: Collection, ids: Sequence[PointId]) -> None:
        """Remove points."""
        await self.inner.delete(collection, ids)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Search by vector only; a query without one finds nothing."""
        asked = [replace(query, terms=None, filter=None) for query in queries if _by_vector(query)]
        found = iter(await self.inner.search(collection, asked) if asked else [])
        return [next(found) if _by_vector(query) else SearchResult(hits=()) for query in queries]

    async def scroll(
        self, collection: Collection, namespace: str, *, after: Coordinate | None, limit: int
    ) -> list[PointState]:
        """List points."""
        return await self.inner.scroll(collection, namespace, after=after, limit=limit)

    async def drop(self, collection: Collection) -> None:
        """Drop a collection."""
        await self.inner.drop(collection)

    async def collections(self) -> list[Collection]:
        """List collections."""
        return await self.inner.collections()


def _by_vector(query: VectorQuery) -> bool:
    return query.vector is not None
